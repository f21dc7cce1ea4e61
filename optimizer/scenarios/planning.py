"""The scenario mode: one plan for several futures. What the rest of the optimiser's users call.

``plan_for_scenarios(UncertainProblem(nominal, scenarios, first_slots, battery_slots, risk))`` gives
an ordinary ``Plan`` of ``nominal``, which ``verify`` accepts, with an ``Outlook`` on it. Few jobs
are solved in the extensive form, many by proposals that are tried in every scenario. The rest of
the plan, what begins after the first stage, is planned anew on the forecast with the first stage
fixed; it is there to be read, and superseded by the next plan.
"""

from __future__ import annotations

from dataclasses import replace

from optimizer.errors import PlanRefused, SolverFailed
from optimizer.plan import Plan, SlotPrices
from optimizer.problem import Problem
from optimizer.progress import Clock, OnProgress, SolveLimits, relative_gap
from optimizer.scenarios.decomposed import Apart, Decided, Decomposition
from optimizer.scenarios.extensive import solve_extensive
from optimizer.scenarios.futures import UncertainProblem
from optimizer.scenarios.outcome import nominal_plan, settled, without_outlook
from optimizer.solving.solve import DEFAULT_LIMITS, cells_of, solve
from optimizer.verify import require_verified

MOST_EXTENSIVE = 4_000
"""Points times slots of all jobs, times scenarios, up to which the extensive form is solved."""
EXTENSIVE_SHARE, ENOUGH_GAP = 0.4, 0.02
"""Share of the time limit that it gets, and gap beyond which proposals are made as well."""
REST_SHARE = 0.1
"""Share of the time limit for the rest of the plan, on the forecast."""


def plan_for_scenarios(
    uncertain: UncertainProblem,
    limits: SolveLimits = DEFAULT_LIMITS,
    *,
    warm_start: Plan | None = None,
    last_plan: Plan | None = None,
    on_progress: OnProgress | None = None,
    clock: Clock | None = None,
    apart: Apart = map,
    extensive: bool | None = None,
) -> Plan:
    """Return a verified plan of ``uncertain.nominal`` whose first decisions are for all scenarios.

    Never raises for lack of one: where scenarios cannot be solved it is the plan for the forecast
    alone, with a note of why, and by the rungs of ``solve``.

    Parameters
    ----------
    limits
        Time for all of it; the gap is that of each solve it is made of. ``Outlook.gap`` is of all.
    on_progress, clock
        See ``solve``.
    warm_start, last_plan
        See ``solve``; for the plan for the forecast alone, where it comes to that.
    apart
        Where the scenarios of a proposal are solved; see ``Apart``.
    extensive
        Whether to solve the extensive form; ``None``: where it is small enough, and proposals as
        well where that leaves a gap.
    """
    try:
        decided = _decide(uncertain, limits, extensive, clock, apart, on_progress)
        plan = nominal_plan(
            uncertain,
            decided.best,
            limits,
            lambda left: _solve_rest(left, limits, clock),
            bound_eur=decided.bound_eur,
            prices=decided.prices,
        )
        require_verified(uncertain.nominal, plan)
    except (SolverFailed, PlanRefused) as error:
        plan = solve(
            uncertain.nominal,
            limits,
            warm_start=warm_start,
            last_plan=last_plan,
            on_progress=on_progress,
            clock=clock,
        )
        return without_outlook(plan, str(error))
    return plan


def is_extensive(uncertain: UncertainProblem) -> bool:
    """Whether ``uncertain`` is small enough for its extensive form."""
    return cells_of(uncertain.nominal) * len(uncertain.scenarios) <= MOST_EXTENSIVE


def _decide(
    uncertain: UncertainProblem,
    limits: SolveLimits,
    extensive: bool | None,
    clock: Clock | None,
    apart: Apart,
    on_progress: OnProgress | None,
) -> Decided:
    """Solve the extensive form, make proposals, or both where the first was not enough."""
    if extensive:
        return _solve_as_one(uncertain, limits)
    left = limits
    one: Decided | None = None
    if extensive is None and is_extensive(uncertain):
        share_s = EXTENSIVE_SHARE * limits.time_limit_s
        left = replace(limits, time_limit_s=limits.time_limit_s - share_s)
        one = _tried_as_one(uncertain, replace(limits, time_limit_s=share_s))
    gap = None if one is None else relative_gap(one.best.minimised_eur, one.bound_eur)
    if one is not None and gap is not None and gap <= ENOUGH_GAP:
        return one
    parts = Decomposition(uncertain, left, clock=clock, apart=apart, on_progress=on_progress)
    proposed = parts.decide()
    return proposed if one is None else _better(one, proposed)


def _better(one: Decided, other: Decided) -> Decided:
    """Return the better of two decisions, with the higher of their bounds."""
    best = min(one, other, key=lambda decided: decided.best.minimised_eur)
    bounds = [it.bound_eur for it in (one, other) if it.bound_eur is not None]
    return replace(best, bound_eur=max(bounds, default=None), prices=one.prices or other.prices)


def _tried_as_one(uncertain: UncertainProblem, limits: SolveLimits) -> Decided | None:
    """Solve the extensive form; ``None`` where its time is too short for any plan."""
    try:
        return _solve_as_one(uncertain, limits)
    except SolverFailed:
        return None


def _solve_as_one(uncertain: UncertainProblem, limits: SolveLimits) -> Decided:
    problems = uncertain.problems()
    futures = solve_extensive(uncertain, limits, problems)
    best = settled(uncertain, problems, futures)
    return Decided(best, futures.bound_eur, _prices(uncertain, limits))


def _prices(uncertain: UncertainProblem, limits: SolveLimits) -> SlotPrices | None:
    return solve(uncertain.weighted_mean(uncertain.probability), limits).prices


def _solve_rest(left: Problem, limits: SolveLimits, clock: Clock | None) -> Plan:
    share = REST_SHARE * limits.time_limit_s
    return solve(left, replace(limits, time_limit_s=share), clock=clock)
