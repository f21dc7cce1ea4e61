"""Many jobs, several scenarios: first decisions are proposed, tried in every scenario, and bounded.

Once it is decided which jobs begin in the first stage, and where, each scenario is an ordinary
problem (``scenarios.first_stage``), and all of them are solved apart. So proposals are made and the
best is kept:

- what is best for the mean of all futures (which makes the value of the stochastic solution
  non-negative: the plan is never worse than that of the mean, tried in the same scenarios);
- the same where the jobs wait that would rather see which future comes (``scenarios.policies``),
  and where only that half of them does which gains most by it;
- where risk counts, all of these for the mean as the risk weighs it, if that differs.

What is left in a scenario is placed by the greedy heuristic at that scenario's prices, and its
flows are optimal: nothing of it is carried out, and with 200 jobs it was within half a percent of
what a search ten times as long found. The bound is that of ``scenarios.policies``; it holds for
risk as well, with any weights of (V3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.plan import Placement, SlotPrices
from optimizer.problem import Problem
from optimizer.progress import Clock, OnProgress, Progress, SolveLimits
from optimizer.scenarios.extensive import flows_around
from optimizer.scenarios.first_stage import first_placements, what_is_left
from optimizer.scenarios.futures import Floats, UncertainProblem, risk_weights
from optimizer.scenarios.outcome import Settled, settled
from optimizer.scenarios.policies import Policies, ascend_policies
from optimizer.solving.generated import solve_generated
from optimizer.solving.greedy import greedy
from optimizer.verify import require_verified

MEAN_GAP = 2e-3
"""Gap at which the plan of a mean is good enough to be a proposal."""
MEAN_SHARE, PRICES_SHARE, TRY_SHARE = 0.15, 0.25, 0.1
"""Shares of the time limit: for the plan of a mean, for prices, and what trying one may take."""
SAME_WEIGHTS = 1e-3
"""Weights of scenarios closer than this make no other proposal."""


@dataclass(frozen=True, slots=True)
class Recourse:
    """What is left to be placed in one scenario, and the prices there."""

    problem: Problem
    prices: SlotPrices


Apart = Callable[
    [Callable[[Recourse], tuple[Placement, ...]], Sequence[Recourse]],
    Iterable[tuple[Placement, ...]],
]
"""Places what is left in each scenario, in their order; ``map`` does so one after another."""


@dataclass(frozen=True, slots=True)
class Decided:
    """The best proposal, the bound, and the prices of the plan for the mean."""

    best: Settled
    bound_eur: float | None
    prices: SlotPrices | None


def placed_apart(task: Recourse) -> tuple[Placement, ...]:
    """Place what is left in one scenario; where this is done by others, they find it by name."""
    return greedy(task.problem, task.prices).placements


class Decomposition:
    """Proposals for one uncertain problem, tried one after another within the time there is."""

    def __init__(
        self,
        uncertain: UncertainProblem,
        limits: SolveLimits,
        *,
        clock: Clock | None,
        apart: Apart,
        on_progress: OnProgress | None,
    ) -> None:
        self._uncertain, self._limits = uncertain, limits
        self._clock, self._apart, self._on_progress = clock, apart, on_progress
        self._began_s = clock() if clock is not None else 0.0
        self._problems = uncertain.problems()
        self._tried: dict[tuple[Placement, ...], Settled] = {}
        self._bound_eur: float | None = None
        self._prices: SlotPrices | None = None

    def decide(self) -> Decided:
        """Make proposals, try them, and return the best.

        Raises
        ------
        SolverFailed, PlanRefused
            A scenario or the mean has no flows, or the plan of the mean does not hold.
        """
        uncertain = self._uncertain
        weights = uncertain.probability
        self._try_all(weights)
        if uncertain.risk.weight > 0.0:
            risky = risk_weights(self._best().cost_eur, weights, uncertain.risk)
            if np.abs(risky - weights).max() > SAME_WEIGHTS and self._has_time():
                self._try_all(risky)
        return Decided(self._best(), self._bound_eur, self._prices)

    def _try_all(self, weights: Floats) -> None:
        """Prove a bound with ``weights``, and try what is best at their mean."""
        policies = self._priced(weights)
        for waiting in _who_waits(policies.waiting_eur):
            if self._tried and not self._has_time():
                return
            self._propose(weights, waiting, policies.prices)

    def _priced(self, weights: Floats) -> Policies:
        self._tell("price")
        began_s, allowed_s = self._used_s(), PRICES_SHARE * self._limits.time_limit_s
        policies = ascend_policies(
            self._problems,
            weights,
            self._uncertain.first_slots,
            seed=self._limits.seed,
            share_used=lambda: (self._used_s() - began_s) / allowed_s,
        )
        before = self._bound_eur
        found = policies.bound_eur
        self._bound_eur = found if before is None else max(before, found)
        return policies

    def _propose(
        self, weights: Floats, waiting: frozenset[str], prices: Sequence[SlotPrices]
    ) -> None:
        """Try what is best at the mean by ``weights`` if the jobs ``waiting`` wait."""
        uncertain = self._uncertain
        self._tell("mean")
        mean = _with_waiting(uncertain.weighted_mean(weights), waiting, uncertain.first_slots)
        limits = replace(
            self._limits,
            time_limit_s=MEAN_SHARE * self._limits.time_limit_s,
            mip_gap=max(self._limits.mip_gap, MEAN_GAP),
        )
        # Generated however few jobs: one MILP of all placements takes longer for the same plan.
        clock = self._clock or _standing_still
        plan = solve_generated(mean, limits, None, clock)
        require_verified(mean, plan)
        self._prices = self._prices or plan.prices
        first = first_placements(uncertain.nominal, plan.placements, uncertain.first_slots)
        if first not in self._tried:
            self._tried[first] = self._try(first, prices)

    def _try(self, first: tuple[Placement, ...], prices: Sequence[SlotPrices]) -> Settled:
        """Place what ``first`` leaves in every scenario, and settle it."""
        self._tell("scenarios")
        tasks = [
            Recourse(what_is_left(problem, first, self._uncertain.first_slots), own)
            for problem, own in zip(self._problems, prices, strict=True)
        ]
        placements = [(*first, *rest) for rest in self._apart(placed_apart, tasks)]
        futures = flows_around(self._uncertain, placements, self._limits, self._problems)
        return settled(self._uncertain, self._problems, futures)

    def _best(self) -> Settled:
        return min(self._tried.values(), key=lambda tried: tried.minimised_eur)

    def _used_s(self) -> float:
        return 0.0 if self._clock is None else self._clock() - self._began_s

    def _has_time(self) -> bool:
        """Whether another proposal may be tried: time for it is left, and nobody stopped."""
        one_more = (MEAN_SHARE + TRY_SHARE) * self._limits.time_limit_s
        return self._tell("scenarios") and self._used_s() + one_more <= self._limits.time_limit_s

    def _tell(self, phase: str) -> bool:
        if self._on_progress is None:
            return True
        best = self._best().minimised_eur if self._tried else None
        return self._on_progress(Progress(phase, self._used_s(), best, self._bound_eur))


def _standing_still() -> float:
    return 0.0


def _who_waits(waiting_eur: Mapping[str, float]) -> Iterator[frozenset[str]]:
    """Yield nobody, all who gain by waiting, and that half of them who gain most."""
    yield frozenset()
    if waiting_eur:
        yield frozenset(waiting_eur)
        by_gain = sorted(waiting_eur, key=lambda name: (-waiting_eur[name], name))
        yield frozenset(by_gain[: (len(by_gain) + 1) // 2])


def _with_waiting(problem: Problem, waiting: frozenset[str], first_slots: int) -> Problem:
    """Return ``problem`` with these jobs released when the first stage is over."""
    jobs = (
        replace(job, release_slot=max(job.release_slot, first_slots))
        if job.name in waiting and job.pin is None
        else job
        for job in problem.jobs
    )
    return replace(problem, jobs=tuple(jobs))
