"""Always an answer: exact, best found in time, greedy, the last plan, the latest safe start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from optimizer.errors import SolverFailed
from optimizer.plan import Plan, Rung
from optimizer.problem import Problem
from optimizer.progress import OnProgress, Progress, SolveLimits
from optimizer.solving.exact import solve_exact
from optimizer.solving.greedy import greedy, latest_safe_start
from optimizer.verify import verify

DEFAULT_LIMITS = SolveLimits()


def solve(
    problem: Problem,
    limits: SolveLimits = DEFAULT_LIMITS,
    *,
    warm_start: Plan | None = None,
    last_plan: Plan | None = None,
    on_progress: OnProgress | None = None,
) -> Plan:
    """Return the best plan that can be had within ``limits``; never raises for lack of one.

    Parameters
    ----------
    warm_start
        A plan of this very problem to start from; the greedy plan where there is none.
    last_plan
        The plan in force, told in the slots of this problem; used only where it still holds.
    on_progress
        See ``OnProgress``. A solve stopped before it has anything better answers the greedy plan.
    """
    start = warm_start or _first_accepted(problem, (lambda: greedy(problem),))
    if on_progress is not None and start is not None:
        goes_on = on_progress(Progress("greedy", 0.0, start.objective))
        if not goes_on:
            return start
    try:
        return solve_exact(problem, limits, start, on_progress)
    except SolverFailed:
        fallen = _first_accepted(
            problem,
            (
                lambda: start,
                lambda: last_plan and replace(last_plan, rung=Rung.LAST_PLAN),
                lambda: latest_safe_start(problem),
            ),
        )
        if fallen is None:
            raise
        return fallen


def _first_accepted(problem: Problem, rungs: tuple[Callable[[], Plan | None], ...]) -> Plan | None:
    """Return the first plan that ``verify`` accepts."""
    for make in rungs:
        plan = make()
        if plan is not None and not verify(problem, plan):
            return plan
    return None
