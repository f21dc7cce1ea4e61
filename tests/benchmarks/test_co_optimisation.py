"""Jobs and batteries planned as one are never worse than planned apart, or one after the other."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.co_optimisation.instance import CALLED_KW, week_of
from benchmarks.co_optimisation.report import Week, markdown
from benchmarks.co_optimisation.ways import results
from optimizer import Problem

MONDAY = datetime(2021, 7, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def problem(data: Path) -> Problem:
    """A week of few jobs."""
    return week_of(data, MONDAY, used=0.02)


def test_two_calls_a_week_for_each_site_in_its_own_evening(problem: Problem) -> None:
    """17 o'clock of July is 15:00 UTC in Germany and midnight in California."""
    calls = [(one.site, one.start_slot, one.end_slot) for one in problem.capacity_limits]
    tuesday, thursday = 24, 72
    assert calls == [
        ("DE", tuesday + 15, tuesday + 18),
        ("DE", thursday + 15, thursday + 18),
        ("CISO", tuesday + 24, tuesday + 27),
        ("CISO", thursday + 24, thursday + 27),
    ]
    assert {one.limit_kw for one in problem.capacity_limits} == {CALLED_KW}


def test_as_one_is_best_and_every_plan_is_verified(problem: Problem) -> None:
    """All of them have all jobs, and what one way saves is in the table."""
    found = results(problem, 20.0)
    assert all(result.breaches == () for result in found.values())
    assert {len(result.plan.placements) for result in found.values()} == {len(problem.jobs)}
    eur = {name: result.eur for name, result in found.items()}
    assert eur["together"] <= eur["in_turn"] + 1e-6
    assert eur["in_turn"] <= min(eur["jobs"], eur["separately"]) + 1e-6
    assert max(eur["batteries"], eur["jobs"]) < eur["neither"]
    told = markdown([Week(MONDAY, len(problem.jobs), found)])
    assert f"| **planned together** | {eur['neither'] - eur['together']:,.0f} |" in told
