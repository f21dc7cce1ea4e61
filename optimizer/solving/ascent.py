r"""Prices from nothing: move them until what jobs ask for is what the sites can give.

The bound (K4) is concave in the prices; GPUs asked for less GPUs at work is its slope. Round by
round every job answers to prices with noise of its own, the blocks to prices with noise too, and
prices move by

.. math::
    w \leftarrow w + \eta \sigma H^{-1} (U - G)                                \tag{A1}

in the metric of ``solving.substitution``, while the noise sigma shrinks. No LP of all jobs is ever
solved. On the reference instances of 500 to 10,000 jobs the bound is within 0.1 % of the best there
is after some hundred rounds, and what the jobs answered in the last of them are the columns that a
plan needs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from optimizer.errors import SolverFailed
from optimizer.placements.columns import Columns
from optimizer.placements.options import Floats, Integers
from optimizer.placements.prices import Noise, Prices, between
from optimizer.problem import Problem
from optimizer.solving.column_master import ColumnMaster
from optimizer.solving.highs import Solution
from optimizer.solving.substitution import Metric
from optimizer.tariffs import import_eur_per_kwh

ROUNDS, WARM_ROUNDS = 120, 20
"""Fewer where prices are known that were good a little while ago."""
FIRST_NOISE, LAST_NOISE = 0.03, 0.0003
"""Size of the noise, as a share of what a GPU costs for a slot."""
STEP = 0.3
LEAST_NOISES = 5.0
"""Noises by which the price of a GPU may be below what the energy of the first one costs. Nobody
gives it for less, so a lower price only lowers the bound; where few jobs can be, steps are long and
nothing would lift it again."""
MEMORY = 0.7
"""Weight of the rounds before in the imbalance that prices follow."""
AVERAGED = 0.1
"""Weight of the last round in the average prices, whose bound is better than that of any round."""
KEPT_ROUNDS = 20
BOUND_EVERY = 10
"""Rounds between two bounds, at which every option is priced. Between them only those are that were
near the best of their job: ``NEAR_NOISES`` times the noise, and ``NEAR`` of what a GPU costs."""
NEAR_NOISES, NEAR = 5.0, 0.01

GoesOn = Callable[[float], bool]
"""Called with the best bound now and then; False stops."""
ShareUsed = Callable[[], float]
"""Share of its time that is used, 1 at its end."""


@dataclass(frozen=True, slots=True)
class Ascent:
    """The best prices found, their bound, and the answers of the jobs in the last rounds."""

    prices: Prices
    bound_eur: float
    columns: tuple[Columns, ...]


def ascend(
    core: ColumnMaster,
    *,
    goes_on: GoesOn,
    seed: int = 0,
    start: Prices | None = None,
    share_used: ShareUsed = lambda: 0.0,
) -> Ascent:
    """Move prices, from ``start`` or from what importing costs, for a fixed number of rounds.

    For fewer where its time is up before; the noise shrinks the faster then.
    """
    rounds = ROUNDS if start is None else WARM_ROUNDS
    problem, rng = core.problem, np.random.default_rng(seed)
    metric = Metric.of(core.pricing.options, problem.horizon.n_slots, rng)
    prices = average = start or import_prices(core)
    most, least = most_gpu_eur(core, prices), first_gpu_eur(core, prices)
    begun = price_all(core, prices)
    best = (begun.bound_eur, prices)
    if not goes_on(begun.bound_eur):
        return Ascent(prices, begun.bound_eur, (begun.columns,))
    among = _near(core, begun, FIRST_NOISE * typical(prices))
    imbalance: Floats | None = None
    kept: deque[Columns] = deque(maxlen=KEPT_ROUNDS)
    for k in range(rounds):
        used = share_used()
        # While there is time the rounds alone count: the same problem then has the same prices.
        done = used if used > (k + 1) / rounds else k / rounds
        is_last = done >= 1.0 or k + 1 == rounds
        sigma = typical(prices) * FIRST_NOISE * (LAST_NOISE / FIRST_NOISE) ** min(1.0, done)
        asked = _answers(core, prices, sigma, among, rng)
        given = solved_blocks(core, shaken(prices, sigma, rng))
        now = core.use(asked)[core.gpu_row] - np.asarray(given.values)[core.gpu_column]
        imbalance = now if imbalance is None else MEMORY * imbalance + (1.0 - MEMORY) * now
        power = prices.power_eur_per_kw
        power = power + AVERAGED * (given.row_duals[core.power_row] - power)
        gpu_eur = prices.gpu_eur + STEP * sigma * metric.steps(imbalance)
        gpu_eur = np.clip(gpu_eur, np.maximum(-most, least - LEAST_NOISES * sigma), most)
        prices = Prices(power, gpu_eur, prices.money_eur_per_eur)
        average = between(average, prices, 1.0 - max(AVERAGED, 1.0 / (k + 1)))
        kept.append(asked)
        if (k + 1) % BOUND_EVERY == 0 or is_last:
            priced = [price_all(core, some) for some in (average, *([prices] if is_last else []))]
            found = [(one.bound_eur, one.prices) for one in priced]
            best = max([*found, best], key=lambda pair: pair[0])
            if not goes_on(best[0]) or is_last:
                break
            among = _near(core, priced[0], sigma)
    return Ascent(best[1], best[0], tuple(kept))


@dataclass(frozen=True, slots=True)
class PricedJobs:
    """Every job priced: the bound (K4), and the cheapest placement of each job that has one.

    ``option_eur`` is what each option costs at best [option].
    """

    prices: Prices
    bound_eur: float
    option_eur: Floats
    columns: Columns


def price_all(core: ColumnMaster, prices: Prices) -> PricedJobs:
    """Price every job, and the blocks.

    Raises
    ------
    SolverFailed
        The blocks have no optimum.
    """
    pricing = core.pricing
    blocks = solved_blocks(core, prices)
    option_eur = pricing.cost_by_option(prices)
    winners, least = pricing.best_options(option_eur)
    nowhere = np.setdiff1d(np.flatnonzero(core.is_generated), pricing.jobs)
    left_out = float(core.left_out_eur[nowhere].sum())
    served = float(np.minimum(least, core.left_out_eur[pricing.jobs]).sum())
    bound = blocks.objective + served + left_out
    return PricedJobs(prices, bound, option_eur, pricing.placements(winners, prices))


def import_prices(core: ColumnMaster) -> Prices:
    """Return prices as if all energy were imported at its mean price and GPUs were for nothing."""
    problem, rates = core.problem, core.pricing.options.rates
    pue = np.array([site.pue for site in problem.sites])
    power = import_eur_per_kwh(problem) * pue * problem.horizon.slot_hours
    mean = power.mean(axis=1)[rates.site] * rates.kw_per_gpu
    return Prices(power, np.repeat(mean[:, None], power.shape[1], axis=1))


def _answers(
    core: ColumnMaster,
    prices: Prices,
    sigma: float,
    among: Integers,
    rng: np.random.Generator,
) -> Columns:
    """Return what jobs take at ``prices`` with noise of their own, but for those best left out."""
    pricing, n_jobs = core.pricing, len(core.is_generated)
    size = max(1, prices.gpu_eur.size)
    offset: Integers = rng.integers(0, size, n_jobs)
    noise = Noise(rng.normal(0.0, sigma, 2 * size), offset)
    winners, least = pricing.best_options(pricing.cost_by_option(prices, noise, among))
    served = winners[least < core.left_out_eur[pricing.jobs]]
    return pricing.placements(served, prices, noise)


def _near(core: ColumnMaster, priced: PricedJobs, sigma: float) -> Integers:
    """Return the options that may win at prices with noise of size ``sigma``, and nearby ones."""
    near_eur = NEAR_NOISES * sigma + NEAR * typical(priced.prices)
    return core.pricing.near_best(priced.option_eur, near_eur)


def shaken(prices: Prices, sigma: float, rng: np.random.Generator) -> Prices:
    """Return ``prices`` with noise of size ``sigma`` [EUR] on those of GPUs."""
    gpu_eur = prices.gpu_eur + rng.normal(0.0, sigma, prices.gpu_eur.shape)
    return Prices(prices.power_eur_per_kw, gpu_eur, prices.money_eur_per_eur)


def solved_blocks(core: ColumnMaster, prices: Prices) -> Solution:
    """Return what the energy blocks answer to ``prices``.

    Raises
    ------
    SolverFailed
        They have no optimum.
    """
    blocks = core.blocks_at(prices)
    if blocks.values is None or not blocks.is_proven:
        raise SolverFailed(f"the energy blocks have no solution at prices: {blocks.status}")
    return blocks


def typical(prices: Prices) -> float:
    """Size of the price of a GPU for a slot."""
    return max(1e-6, float(np.abs(prices.gpu_eur).mean())) if prices.gpu_eur.size else 1.0


def first_gpu_eur(core: ColumnMaster, prices: Prices) -> Floats:
    """Return what the energy of a GPU at work costs where no other works [rate, slot].

    Imported at most: a peak charge is in the slot of the peak, which moves as GPUs work. Less what
    a reserve may pay for load that can be shed.
    """
    rates = core.pricing.options.rates
    nobody = np.full_like(prices.gpu_eur, -most_gpu_eur(core, prices))
    idle = solved_blocks(core, replace(prices, gpu_eur=nobody))
    imported_eur = import_prices(core).power_eur_per_kw
    power_eur = np.minimum(idle.row_duals[core.power_row], imported_eur)
    first: Floats = rates.kw_per_gpu[:, None] * power_eur[rates.site]
    shed_kw = (
        rates.shed_kw_per_gpu[:, None]
        * np.array([site.pue for site in core.problem.sites])[rates.site]
    )
    first -= shed_kw * _most_reserve_eur_per_kw(core.problem)
    return first


def _most_reserve_eur_per_kw(problem: Problem) -> float:
    """Return the most that a kW shed in one slot can earn, or save in penalties [EUR]."""
    hours = problem.horizon.slot_hours
    return sum(
        max((block.eur_per_kw for block in product.blocks), default=0.0)
        + hours * product.missed_eur_per_kwh * any(block.sold_lots for block in product.blocks)
        for product in problem.reserves
    )


def most_gpu_eur(core: ColumnMaster, prices: Prices) -> float:
    """Bound prices of a GPU for a slot: where every job would rather be left out, and then some."""
    o = core.pricing.options
    holds = o.gpus > 0
    lost = core.left_out_eur[o.job[holds]] / o.gpus[holds]
    return float(lost.max(initial=0.0) + np.abs(prices.gpu_eur).max(initial=1.0))
