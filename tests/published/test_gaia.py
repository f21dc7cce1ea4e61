"""GAIA's week in South Australia: the published carbon of its policies, by our plug-ins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.gaia.__main__ import TOLERANCE
from benchmarks.gaia.planned import paused
from benchmarks.gaia.week import (
    PUBLISHED,
    PUBLISHED_KG,
    expected_work,
    policies,
    read_carbon,
    read_jobs,
    week,
)
from optimizer import Pausing, Rung, baselines, dispatch, settled_plan, verify


@pytest.fixture(scope="module")
def data() -> Path:
    """Folder of the published data, or a skip that says what to set."""
    if "GRIDTIDE_DATA" not in os.environ:
        pytest.skip("GRIDTIDE_DATA is not set: GAIA's week is not part of the repository")
    return Path(os.environ["GRIDTIDE_DATA"])


@pytest.mark.parametrize(
    ("name", "pausing"), [("carbon_time", None), ("suspend_resume", Pausing())]
)
def test_a_published_policy_emits_what_was_published(
    name: str, pausing: Pausing | None, data: Path
) -> None:
    """To 1e-5; those that are not tried here are by the benchmark, which takes longer."""
    jobs = read_jobs(data)
    plan = policies(expected_work(data, jobs))[name](week(data, jobs, pausing))
    assert plan.unserved == ()
    assert plan.terms.carbon_kg / PUBLISHED_KG == pytest.approx(PUBLISHED[name], rel=TOLERANCE)


def test_the_planner_finds_the_optimum_of_jobs_that_are_paused_at_will(data: Path) -> None:
    """Of thirty jobs: planned by the hour, told in ticks, the same carbon to a billionth."""
    jobs = read_jobs(data)[:30]
    problem = week(data, jobs, Pausing())
    placements = list(paused(jobs, read_carbon(data)))
    plan = settled_plan(problem, Rung.EXACT, placements, (), dispatch(problem, placements, {}))
    best = baselines.wait_awhile(problem)
    assert verify(problem, plan) == ()
    assert plan.terms.carbon_kg == pytest.approx(best.terms.carbon_kg, rel=1e-9)
