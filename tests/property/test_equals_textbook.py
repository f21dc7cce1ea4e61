"""The product's optimum is the optimum: equal to an independent formulation's on random problems.

Examples are the same on every run. What else is said of the same plans: ``verify`` accepts them,
the bound is below them, and neither a baseline nor greedy ever beats them.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings

from optimizer import Plan, Problem, Rung, SolveLimits, baselines, greedy, solve, verify
from tests.corners import CORNERS
from tests.reference.plans import plan_of
from tests.reference.textbook import Textbook, textbook_optimum
from tests.strategies import paused_problems, problems

EXACT = SolveLimits(time_limit_s=60.0, mip_gap=0.0)
POLICIES: dict[str, Callable[[Problem], Plan]] = {**baselines.BASELINES, "greedy": greedy}


def examples(count: int) -> settings:
    """The same ``count`` examples on every run, however long one takes."""
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def is_close(first: float, second: float) -> bool:
    """Equal to 1e-6, relative above 1 EUR."""
    return first == pytest.approx(second, rel=1e-6, abs=1e-6)


def assert_optimal(problem: Problem) -> None:
    """Compare the product's plan with the textbook's, and everything else with both."""
    plan, textbook = solve(problem, EXACT), textbook_optimum(problem)
    assert plan.rung is Rung.EXACT
    assert verify(problem, plan) == ()
    assert is_close(plan.objective, textbook.objective), (plan.objective, textbook.objective)
    assert plan.bound is not None
    assert plan.bound <= plan.objective + 1e-6 * max(1.0, abs(plan.objective))
    assert_settled_as_stated(problem, textbook)
    for name, policy in POLICIES.items():
        other = policy(problem)
        assert verify(problem, other) == (), name
        slack = 1e-6 * max(1.0, abs(textbook.objective))
        assert other.objective >= textbook.objective - slack, name


def assert_settled_as_stated(problem: Problem, textbook: Textbook) -> None:
    """A plan that knows nothing of the product's model is accepted, and costs what it says."""
    plan = plan_of(problem, textbook)
    assert verify(problem, plan) == ()
    assert is_close(plan.objective, textbook.objective)


@pytest.mark.parametrize("name", CORNERS)
def test_sharp_corners_are_optimal(name: str) -> None:
    """The named problems, among them those that random search has found a defect with."""
    assert_optimal(CORNERS[name])


@examples(120)
@given(problem=problems(n_jobs=(2, 3), max_slots=6, has_plant=False))
def test_jobs_that_share_capacity_are_placed_optimally(problem: Problem) -> None:
    """Two or three jobs on one or two sites: data, precedence, pins, lateness, churn."""
    assert_optimal(problem)


@examples(120)
@given(problem=problems(n_jobs=(0, 1), max_slots=8, has_plant=True))
def test_energy_flows_are_optimal(problem: Problem) -> None:
    """Batteries, PV, engines, peaks, exports, limits and ceilings around at most one job."""
    assert_optimal(problem)


@examples(120)
@given(problem=problems(n_jobs=(1, 2), max_slots=6, has_plant=True))
def test_jobs_and_energy_together_are_optimal(problem: Problem) -> None:
    """Jobs and plant decide each other: the reason it is one problem."""
    assert_optimal(problem)


@examples(120)
@given(problem=paused_problems())
def test_pausing_is_used_exactly_where_it_pays(problem: Problem) -> None:
    """Minimum runs, restart losses and pause limits under prices that swing."""
    assert_optimal(problem)
