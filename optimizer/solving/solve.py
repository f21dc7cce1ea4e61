"""Always an answer: exact, best found in time, greedy, the last plan, the latest safe start.

Few jobs have all their placements in one MILP; many have theirs generated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from optimizer.errors import OptimizerError, PlanRefused, SolverFailed
from optimizer.plan import Plan, Rung
from optimizer.problem import Problem
from optimizer.progress import Clock, OnProgress, Progress, SolveLimits
from optimizer.solving.exact import solve_exact
from optimizer.solving.freeing import SideBySide
from optimizer.solving.generated import solve_generated
from optimizer.solving.greedy import greedy, latest_safe_start
from optimizer.verify import require_verified, verify

DEFAULT_LIMITS = SolveLimits()
MOST_LISTED = 30_000
"""Points times slots of all jobs up to which every placement is listed."""


def solve(
    problem: Problem,
    limits: SolveLimits = DEFAULT_LIMITS,
    *,
    warm_start: Plan | None = None,
    last_plan: Plan | None = None,
    on_progress: OnProgress | None = None,
    clock: Clock | None = None,
    side_by_side: SideBySide = map,
) -> Plan:
    """Return the best plan that can be had within ``limits``; never raises for lack of one.

    Every rung is verified. Where the exact solve gives none, ``Plan.notes`` says why.

    Parameters
    ----------
    warm_start
        A plan to start from. Among few jobs it is taken if it keeps every limit and is better than
        the greedy one; among many, what of it can stay does.
    last_plan
        The plan in force, told in the slots of this problem; used only where it still holds.
    on_progress
        See ``OnProgress``. A solve stopped before it has anything better answers its start.
    clock
        What the time limit is read from where placements are generated; see ``Clock``. Without one
        only HiGHS's own time counts.
    side_by_side
        Where the search among generated placements solves its small MILPs; see ``SideBySide``.
    """
    if is_crowded(problem):
        try:
            plan = solve_generated(
                problem,
                limits,
                on_progress,
                clock or _standing_still,
                side_by_side=side_by_side,
                older=warm_start,
            )
            require_verified(problem, plan)
        except (SolverFailed, PlanRefused) as error:
            return _next_rung(problem, greedy(problem), last_plan, error)
        return plan
    begun = [greedy(problem), _unproven(warm_start)]
    start = min(
        (plan for plan in begun if plan is not None and not verify(problem, plan)),
        key=lambda plan: plan.objective,
        default=None,
    )
    if on_progress is not None and start is not None:
        goes_on = on_progress(Progress("greedy", 0.0, start.objective))
        if not goes_on:
            return start
    try:
        plan = solve_exact(problem, limits, start, on_progress)
        require_verified(problem, plan)
    except (SolverFailed, PlanRefused) as error:
        return _next_rung(problem, start, last_plan, error)
    return plan


def is_crowded(problem: Problem) -> bool:
    """Whether ``problem`` has too many points times slots to list every placement."""
    return cells_of(problem) > MOST_LISTED


def cells_of(problem: Problem) -> int:
    """Points times slots of the windows of all jobs."""
    n_slots = problem.horizon.n_slots
    return sum(
        len(job.points) * max(0, min(job.deadline_slot, n_slots) - job.release_slot)
        for job in problem.jobs
    )


def _standing_still() -> float:
    return 0.0


def _next_rung(
    problem: Problem, start: Plan | None, last_plan: Plan | None, error: OptimizerError
) -> Plan:
    """Return the next best plan that ``verify`` accepts, with a note of why.

    Raises
    ------
    SolverFailed
        Not even starting every job at the last moment is accepted.
    """
    rungs: tuple[Callable[[], Plan | None], ...] = (
        lambda: start,
        lambda: _unproven(last_plan),
        lambda: latest_safe_start(problem),
    )
    for make in rungs:
        plan = make()
        if plan is not None and not verify(problem, plan):
            return replace(plan, notes=(f"no exact plan: {error}",))
    raise SolverFailed(f"no plan holds: {error}") from error


def _unproven(plan: Plan | None) -> Plan | None:
    """Take what was proven of another problem off a plan made for it."""
    return plan and replace(plan, rung=Rung.LAST_PLAN, bound=None, prices=None, notes=())
