"""Plans of generated placements: verified, no better than the optimum, close to it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings

from optimizer.jobs import Job
from optimizer.problem import Problem
from optimizer.progress import Progress, SolveLimits
from optimizer.solving.exact import solve_exact
from optimizer.solving.generated import solve_generated
from optimizer.verify import verify
from tests.optimizer.crowd import crowd
from tests.strategies import problems


def no_clock() -> float:
    """Time that never passes."""
    return 0.0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems(n_jobs=(1, 4), max_slots=6, has_plant=True))
def test_the_generated_optimum_is_the_exact_one(problem: Problem) -> None:
    """Whatever a small problem holds, found and proven by another way.

    Where a restart of a job that changes points loses work, it is bounded by it.
    """
    best = solve_exact(problem, SolveLimits(60.0, 0.0), None, None)
    plan = solve_generated(problem, SolveLimits(60.0, 0.0), None, no_clock)
    slack = 1e-4 * max(1.0, abs(best.objective))
    assert verify(problem, plan) == ()
    assert plan.bound is not None
    assert plan.bound <= best.objective + slack
    assert best.objective <= plan.objective + slack
    if not any(may_undo_work(job) for job in problem.jobs):
        assert plan.objective == pytest.approx(best.objective, abs=slack)
        assert plan.bound == pytest.approx(best.objective, abs=slack)


def may_undo_work(job: Job) -> bool:
    """Whether it may be done, and again not after a restart."""
    return job.is_elastic and job.pausing is not None and job.pausing.restart_slots > 0


def test_a_crowd_is_planned_close_to_its_bound() -> None:
    """Within three percent, with every job served."""
    problem = crowd()
    plan = solve_generated(problem, SolveLimits(60.0, 1e-4), None, no_clock)
    assert verify(problem, plan) == ()
    assert not plan.unserved
    assert plan.gap is not None
    assert plan.gap < 0.03


def test_the_same_problem_gives_the_same_plan() -> None:
    """Twice from scratch."""
    limits = SolveLimits(60.0, 1e-4)
    one, two = (solve_generated(crowd(), limits, None, no_clock) for _ in range(2))
    assert one == two


def test_progress_tells_a_plan_first_and_then_a_bound() -> None:
    """Best and bound only ever get better; phases come in their order."""
    told: list[Progress] = []

    def tell(progress: Progress) -> bool:
        told.append(progress)
        return True

    solve_generated(crowd(), SolveLimits(60.0, 1e-4), tell, no_clock)
    phases = [phase for phase, _ in itertools.groupby(p.phase for p in told)]
    assert phases[:4] == ["build", "insert", "price", "insert"]
    assert told[1].best is not None
    assert told[1].bound is None
    bests = [p.best for p in told if p.best is not None]
    bounds = [p.bound for p in told if p.bound is not None]
    assert bests == sorted(bests, reverse=True)
    assert bounds == sorted(bounds)


@pytest.mark.parametrize("n_told", [1, 2, 4])
def test_stopping_it_gives_the_best_plan_so_far(n_told: int) -> None:
    """Whenever it is stopped."""
    problem, count = crowd(), itertools.count(1)
    limits = SolveLimits(60.0, 1e-4)
    plan = solve_generated(problem, limits, lambda _: next(count) < n_told, no_clock)
    assert verify(problem, plan) == ()
    assert len(plan.placements) + len(plan.unserved) == len(problem.jobs)


def test_time_that_runs_out_ends_the_search_with_a_plan() -> None:
    """A clock on which every look takes a second leaves no time for prices."""
    problem, seconds = crowd(), itertools.count()
    plan = solve_generated(problem, SolveLimits(2.0, 1e-4), None, lambda: float(next(seconds)))
    assert verify(problem, plan) == ()
    assert plan.bound is None
