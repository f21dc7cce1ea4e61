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
from optimizer.progress import Clock, OnProgress, SolveLimits
from optimizer.scenarios.decomposed import Apart, Decided, Decomposition
from optimizer.scenarios.extensive import solve_extensive
from optimizer.scenarios.futures import UncertainProblem
from optimizer.scenarios.outcome import nominal_plan, settled, without_outlook
from optimizer.solving.solve import DEFAULT_LIMITS, cells_of, solve
from optimizer.verify import require_verified

MOST_EXTENSIVE = 4_000
"""Points times slots of all jobs, times scenarios, up to which the extensive form is solved."""
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
        Whether to solve the extensive form; ``None``: where it is small enough.
    """
    as_one = is_extensive(uncertain) if extensive is None else extensive
    try:
        decided = (
            _solve_as_one(uncertain, limits)
            if as_one
            else Decomposition(
                uncertain, limits, clock=clock, apart=apart, on_progress=on_progress
            ).decide()
        )
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
