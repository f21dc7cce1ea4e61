from __future__ import annotations

import dataclasses
import json

import pytest

from benchmarks.apart import Unmeasurable
from benchmarks.draws import Size
from benchmarks.instances import drawn
from benchmarks.printed import lines
from benchmarks.replans import Replans, changes, promised, replans
from optimizer import Plan, Problem, SolveLimits, solve

TINY = Size(12, 2, 30)
CHURN_EUR = 1.0


def say_nothing(_: str) -> None:
    """Keep what is being done to itself."""


@pytest.fixture(scope="module")
def problem() -> Problem:
    """A problem that is solved in no time."""
    return drawn(TINY)


@pytest.fixture(scope="module")
def plan(problem: Problem) -> Plan:
    """Its plan, before any change."""
    return solve(problem, SolveLimits(20.0, 0.0))


def test_promises_kept_cost_nothing(problem: Problem, plan: Plan) -> None:
    """The plan that made them is still accepted, and still the best."""
    announced = promised(problem, plan, CHURN_EUR)
    again = solve(announced, SolveLimits(20.0, 0.0), warm_start=plan)
    assert again.terms.churned_jobs == 0
    assert again.objective == pytest.approx(plan.objective)


def test_only_jobs_in_the_lost_pool_are_touched(problem: Problem, plan: Plan) -> None:
    """All others could stay: none of them runs where there are no GPUs now."""
    *others, lost = changes(problem, plan)
    assert [change.touched for change in others] == [frozenset(), frozenset()]
    assert lost.touched
    for placed in plan.placements:
        gpus = lost.problem.site(placed.site).pools[0].gpus
        runs_nowhere = any(gpus[slot] == 0.0 for slot, _ in placed.slots())
        assert runs_nowhere == (placed.job in lost.touched)


def test_jobs_that_moved_are_counted() -> None:
    """At a high price of churn nobody moves for a dearer site."""
    found = replans(say_nothing, TINY, 1.5, 5.0)
    assert [one.change for one in found.after] == [
        "price +30% at one site",
        "one job more",
        "a pool lost for a day",
    ]
    assert (found.after[0].n_moved, found.after[0].n_untouched) == (0, TINY.n_jobs)
    assert all(0 <= one.n_moved <= one.n_untouched for one in found.after)
    assert found.after[2].n_untouched < TINY.n_jobs
    assert all(one.warm.breaches == one.cold.breaches == () for one in found.after)
    assert Replans.of(json.loads(json.dumps(dataclasses.asdict(found)))) == found


def test_a_benchmark_that_fails_has_no_lines() -> None:
    """Its exit status is why."""
    with pytest.raises(Unmeasurable, match=r"benchmarks\.nowhere ended with 1"):
        lines(say_nothing, "nowhere", 1.0)
