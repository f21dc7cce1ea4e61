r"""Prices in every scenario, the bound they prove, and which jobs are worth waiting for.

A job either begins in the first stage, with one placement k for all scenarios, or waits, and is
then placed in each as that scenario has it. At prices of power and GPUs in each scenario,

.. math::
    L = \sum_s q_s \min_{\text{blocks of } s}
        + \sum_j \min\Bigl\{\min_k \sum_s q_s \text{cost}_{jks},\;
            \sum_s q_s \min_{k' \text{ later}} \text{cost}_{jk's}\Bigr\}           \tag{Y1}

is a lower bound of every plan, for any weights q of (V3); being left out counts as a placement of
cost its own. What a job costs is linear in prices, so the first inner minimum is one search at mean
prices, and the second one search in each scenario. Placements common to all that begin later need
not be barred from the first: they cost no less than the second.

Prices move as in ``solving.ascent``, in each scenario by what is asked for less what is given
there. Batteries are not tied (that only lowers the bound), nor are jobs that wait for others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.placements.batch import Pricing
from optimizer.placements.columns import Columns
from optimizer.placements.options import Bools, Floats, Integers, Options
from optimizer.placements.prices import Noise, Prices, between
from optimizer.plan import SlotPrices
from optimizer.problem import Problem
from optimizer.solving.ascent import (
    AVERAGED,
    BOUND_EVERY,
    FIRST_NOISE,
    LAST_NOISE,
    LEAST_NOISES,
    MEMORY,
    STEP,
    first_gpu_eur,
    import_prices,
    most_gpu_eur,
    shaken,
    solved_blocks,
    typical,
)
from optimizer.solving.column_master import ColumnMaster
from optimizer.solving.older import published
from optimizer.solving.substitution import Metric

ROUNDS = 60

ShareUsed = Callable[[], float]
"""Share of its time that is used, 1 at its end."""


@dataclass(frozen=True, slots=True)
class Policies:
    """The bound (Y1) [EUR], and what the prices it was proven with say.

    Attributes
    ----------
    waiting_eur
        What each job that would wait gains by that [EUR].
    prices
        Of each scenario.
    """

    bound_eur: float
    waiting_eur: Mapping[str, float]
    prices: tuple[SlotPrices, ...]


def ascend_policies(
    problems: Sequence[Problem],
    weights: Floats,
    first_slots: int,
    *,
    seed: int = 0,
    rounds: int = ROUNDS,
    share_used: ShareUsed = lambda: 0.0,
) -> Policies:
    """Move prices for a number of rounds, or until time is up; return the best bound.

    Parameters
    ----------
    weights
        q of (Y1) [scenario].

    Raises
    ------
    SolverFailed
        The energy blocks of a scenario have no optimum.
    """
    asking = _Asking.of(problems, weights, first_slots)
    rng = np.random.default_rng(seed)
    # All scenarios have the same jobs, so these answer alike.
    metric = Metric.of(asking.common.options, problems[0].horizon.n_slots, rng)
    movers = [_Mover.of(core, metric) for core in asking.cores]
    # Where nothing is scarce, what energy costs in each slot says all; else it is a bad beginning.
    best = asking.bound([_slot_by_slot(mover.core, mover.prices) for mover in movers])
    for k in range(rounds):
        done = max(k / rounds, share_used())
        sigma = FIRST_NOISE * (LAST_NOISE / FIRST_NOISE) ** min(1.0, done)
        prices = [mover.prices for mover in movers]
        noise = asking.noise(rng, sigma * float(np.mean([typical(one) for one in prices])))
        answers = asking.answers(prices, noise)
        for mover, asked in zip(movers, answers, strict=True):
            mover.move(asked, sigma, k, rng)
        is_last = done >= 1.0 or k + 1 == rounds
        if (k + 1) % BOUND_EVERY == 0 or is_last:
            found = asking.bound([mover.average for mover in movers])
            best = max(best, found, key=lambda one: one.bound_eur)
        if is_last:
            break
    return best


def _slot_by_slot(core: ColumnMaster, prices: Prices) -> Prices:
    """Return ``prices`` with GPUs at what the energy of one at work costs, if it is imported."""
    rates, power = core.pricing.options.rates, prices.power_eur_per_kw
    return replace(prices, gpu_eur=rates.kw_per_gpu[:, None] * power[rates.site])


@dataclass(slots=True)
class _Mover:
    """Prices of one scenario on their way; changes as they move."""

    core: ColumnMaster
    metric: Metric
    prices: Prices
    average: Prices
    most_eur: float
    least_eur: Floats
    imbalance: Floats | None = None

    @classmethod
    def of(cls, core: ColumnMaster, metric: Metric) -> _Mover:
        prices = import_prices(core)
        most, least = most_gpu_eur(core, prices), first_gpu_eur(core, prices)
        return cls(core, metric, prices, prices, most, least)

    def move(self, asked: Columns, noise: float, k: int, rng: np.random.Generator) -> None:
        """Move by what is ``asked`` for less what the blocks give; ``noise`` is relative."""
        core, prices, sigma = self.core, self.prices, noise * typical(self.prices)
        given = solved_blocks(core, shaken(prices, sigma, rng))
        now = core.use(asked)[core.gpu_row] - np.asarray(given.values)[core.gpu_column]
        before = now if self.imbalance is None else self.imbalance
        self.imbalance = MEMORY * before + (1.0 - MEMORY) * now
        power = prices.power_eur_per_kw
        power = power + AVERAGED * (given.row_duals[core.power_row] - power)
        gpu_eur = prices.gpu_eur + STEP * sigma * self.metric.steps(self.imbalance)
        least = np.maximum(-self.most_eur, self.least_eur - LEAST_NOISES * sigma)
        gpu_eur = np.clip(gpu_eur, least, self.most_eur)
        self.prices = Prices(power, gpu_eur, prices.money_eur_per_eur)
        self.average = between(self.average, self.prices, 1.0 - max(AVERAGED, 1.0 / (k + 1)))


@dataclass(frozen=True, slots=True)
class _Asking:
    """All scenarios, and what prices a placement common to all, and one that begins later."""

    cores: tuple[ColumnMaster, ...]
    weights: Floats
    common: Pricing
    later: Pricing

    @classmethod
    def of(cls, problems: Sequence[Problem], weights: Floats, first_slots: int) -> _Asking:
        cores = tuple(ColumnMaster.of(problem) for problem in problems)
        common = cores[0].pricing
        later = Pricing(problems[0], later_options(common.options, first_slots))
        return cls(cores, weights, common, later)

    def noise(self, rng: np.random.Generator, sigma: float) -> Noise:
        """Draw a noise of its own for every job."""
        rates, n_slots = self.common.options.rates, self.common.problem.horizon.n_slots
        size = max(1, len(rates.pool) * n_slots)
        offset: Integers = rng.integers(0, size, len(self.cores[0].is_generated))
        return Noise(rng.normal(0.0, sigma, 2 * size), offset)

    def answers(self, prices: Sequence[Prices], noise: Noise) -> list[Columns]:
        """Return what jobs take in each scenario."""
        mean, left_out = self._mean(prices), self.cores[0].left_out_eur[self.common.jobs]
        chosen, least, later, waits = self._choose(prices, noise)
        first = chosen[~waits & (least < left_out)]
        begun = self.common.placements(first, mean, noise)
        columns = []
        for own, (options, cost) in zip(prices, later, strict=True):
            served = options[waits & (cost < left_out)]
            columns.append(Columns.joined([begun, self.later.placements(served, own, noise)]))
        return columns

    def bound(self, prices: Sequence[Prices]) -> Policies:
        """Return (Y1) at ``prices`` [scenario], and who waits at them."""
        core, common = self.cores[0], self.common
        blocks = [
            solved_blocks(core, own).objective for core, own in zip(self.cores, prices, strict=True)
        ]
        left_out = core.left_out_eur[common.jobs]
        _, least, later, waits = self._choose(prices, None)
        nowhere = np.setdiff1d(np.flatnonzero(core.is_generated), common.jobs)
        served = np.minimum(np.minimum(least, left_out), self._waiting_eur(later, left_out))
        bound = float(self.weights @ np.array(blocks)) + float(served.sum())
        gain = np.minimum(least, left_out) - self._waiting_eur(later, left_out)
        names = [common.problem.jobs[job].name for job in common.jobs.tolist()]
        return Policies(
            bound + float(core.left_out_eur[nowhere].sum()),
            {names[row]: float(gain[row]) for row in np.flatnonzero(waits).tolist()},
            tuple(published(common, own) for own in prices),
        )

    def _choose(
        self, prices: Sequence[Prices], noise: Noise | None
    ) -> tuple[Integers, Floats, list[tuple[Integers, Floats]], Bools]:
        """Return the best common option of each job, its cost, those of waiting, and who waits."""
        left_out = self.cores[0].left_out_eur[self.common.jobs]
        chosen, least = self.common.best_options(
            self.common.cost_by_option(self._mean(prices), noise)
        )
        later = [self.later.best_options(self.later.cost_by_option(own, noise)) for own in prices]
        waits = self._waiting_eur(later, left_out) < np.minimum(least, left_out) - 1e-9
        return chosen, least, later, waits

    def _waiting_eur(self, later: Sequence[tuple[Integers, Floats]], left_out: Floats) -> Floats:
        costs = np.array([np.minimum(cost, left_out) for _, cost in later])
        waiting: Floats = self.weights @ costs.reshape(len(later), len(left_out))
        return waiting

    def _mean(self, prices: Sequence[Prices]) -> Prices:
        def mean(values: Sequence[Floats]) -> Floats:
            total: Floats = np.tensordot(self.weights, np.array(values), axes=1)
            return total

        return Prices(
            mean([own.power_eur_per_kw for own in prices]),
            mean([own.gpu_eur for own in prices]),
            float(self.weights @ np.array([own.money_eur_per_eur for own in prices])),
        )


def later_options(o: Options, first_slots: int) -> Options:
    """Return ``o`` with nothing begun before ``first_slots``; what no longer fits is unused."""
    first = np.maximum(o.first_start, first_slots + o.transfer_slots)
    begins_at_first = o.lo_slot == o.first_start
    lo = np.where(begins_at_first, first, np.maximum(o.lo_slot, first_slots))
    fits = (first + o.n_slots <= o.hi_slot) & (first <= o.last_start)
    families = (
        replace(family, options=family.options[fits[family.options]]) for family in o.families
    )
    switching = (ways.take(np.flatnonzero(fits[ways.options])) for ways in o.switching)
    return replace(
        o,
        lo_slot=lo,
        first_start=first,
        families=tuple(family for family in families if len(family.options)),
        switching=tuple(ways for ways in switching if len(ways.options)),
    )
