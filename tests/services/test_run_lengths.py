"""Stated hours are read by what jobs of their tenant took, and no deadline is risked for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from optimizer import Job as PlannedJob
from scheduler.db.models import Job, JobStatus
from scheduler.db.session import SessionFactory, transaction
from scheduler.forecasting.run_times import RunLength, fitted_run_times
from scheduler.services.assemble import Assembled, JobToPlan, assemble
from scheduler.services.planning_inputs import read_inputs
from scheduler.services.run_lengths import expected_left_hours, read_run_times
from scheduler.specs import JobSpec
from tests.services.builders import START, flat_signals, fleet_spec, job_spec, window
from tests.services.scene import Scene

HOUR = timedelta(hours=1)
READ = {"run_times": {"quantile": 0.5}}


def stated(hours: float = 10.0, by_h: float = 20.0, **changes: Any) -> JobSpec:
    """A job that states ten hours and is due after twenty."""
    return job_spec(work_hours=hours, deadline_at=START + by_h * HOUR, **changes)


def planned(spec: JobSpec, expected: float | None, **planning: Any) -> tuple[PlannedJob, Assembled]:
    """Assemble one job of which so many hours are expected to be left."""
    fleet = fleet_spec(planning=READ | planning)
    standing = JobToPlan(spec, spec.work_hours, expected_left_hours=expected)
    made = assemble(fleet, [standing], flat_signals("DE"), [], window(48), now=START)
    return made.problem.jobs[0], made


def test_a_job_of_expected_hours_starts_no_later_than_stated_ones_allow() -> None:
    """Four of ten hours, by 14: it starts by 10, and ten hours from there end at 20."""
    job, made = planned(stated(), 4.0)
    assert (job.work, job.deadline_slot) == (4.0, 14)
    assert job.deadline_slot - job.work == 20 - 10
    assert made.marks == (
        "jobs: 1 of 1 planned with the hours within which 50 % of their tenants' jobs end",
    )


def test_who_says_so_may_miss_deadlines() -> None:
    """The same job may then start ten hours before its stated hours would be over."""
    job, _ = planned(stated(), 4.0, run_times={"quantile": 0.5, "may_miss_deadline": True})
    assert (job.work, job.deadline_slot) == (4.0, 20)


def test_the_slowest_operating_point_counts_for_the_deadline() -> None:
    """At half speed, six hours that may yet come take twelve."""
    points = [{"pool": "a100", "gpus": 1, "kw": 1.0, "speed": speed} for speed in (1.0, 0.5)]
    points[1]["gpus"] = 2
    job, _ = planned(stated(by_h=40, operating_points=points), 4.0)
    assert job.deadline_slot == 40 - 12


def test_what_does_not_fit_so_is_planned_as_stated() -> None:
    """Ten hours in eleven: nothing is gained by counting on four, and nothing is lost."""
    job, made = planned(stated(by_h=11), 4.0)
    assert (job.work, job.deadline_slot) == (10.0, 11)
    assert not [mark for mark in made.marks if mark.startswith("jobs:")]


@pytest.mark.parametrize("expected", [None, 12.0])
def test_a_job_that_waits_is_planned_with_no_more_than_it_states(expected: float | None) -> None:
    """Nobody knows, or such jobs take longer: what it states stands."""
    job, _ = planned(stated(), expected)
    assert (job.work, job.deadline_slot) == (10.0, 20)


def test_a_due_date_past_the_earlier_deadline_is_no_more_and_one_before_it_stands() -> None:
    """Due at 18 cannot be missed by what ends by 14; due at 12 can."""
    late, _ = planned(stated(due_at=START + 18 * HOUR, lateness_eur_per_hour=1.0), 4.0)
    early, _ = planned(stated(due_at=START + 12 * HOUR, lateness_eur_per_hour=1.0), 4.0)
    assert (late.due_slot, early.due_slot) == (None, 12)


def test_without_the_setting_nothing_is_read_otherwise() -> None:
    """Stated hours are stated hours."""
    spec = stated()
    standing = JobToPlan(spec, spec.work_hours, expected_left_hours=4.0)
    made = assemble(fleet_spec(), [standing], flat_signals("DE"), [], window(48), now=START)
    assert made.problem.jobs[0].work == 10.0


def test_what_is_left_is_what_jobs_that_got_as_far_had_left() -> None:
    """Half of the jobs end at a fifth, half at the whole: beyond a fifth, all of it is left."""
    lengths = [
        RunLength("default", share, has_ended=True) for share in (0.2, 1.0) for _ in range(40)
    ]
    run_times = fitted_run_times(lengths)
    spec = stated()
    assert expected_left_hours(run_times, spec, 10.0, 0.5) == pytest.approx(2.0)
    assert expected_left_hours(run_times, spec, 7.0, 0.5) == pytest.approx(7.0)
    assert expected_left_hours(None, spec, 10.0, 0.5) is None
    exact = spec.model_copy(update={"hours_are_exact": True})
    assert expected_left_hours(run_times, exact, 10.0, 0.5) is None


def test_jobs_of_before_are_the_same_jobs() -> None:
    """A spec that does not say its hours are exact is written as it always was."""
    assert "hours_are_exact" not in stated().model_dump()
    assert stated(hours_are_exact=True).model_dump()["hours_are_exact"] is True


def _ran(scene: Scene, name: str, done_hours: float, status: JobStatus) -> None:
    job = scene.submit(name)
    with transaction(scene.sessions) as session:
        row = session.get_one(Job, job)
        row.status, row.starts, row.work_done_hours = status, 1, done_hours
        row.started_at = scene.at - HOUR
        row.ended_at = scene.at if status.is_final else None


def test_history_is_read_from_what_jobs_did_and_reaches_the_plan(sessions: SessionFactory) -> None:
    """Twenty-five that took half of two hours; one that failed at 90 % took longer than that."""
    fleet = fleet_spec(planning={"run_times": {"quantile": 0.9}})
    scene = Scene(sessions).set_up(fleet)
    for index in range(25):
        _ran(scene, f"done-{index}", 1.0, JobStatus.SUCCEEDED)
    _ran(scene, "broken", 1.8, JobStatus.FAILED)
    scene.submit("next")
    with transaction(sessions) as session:
        run_times = read_run_times(session, scene.at)
    assert run_times is not None
    assert run_times.fraction("default", 0.9) == pytest.approx(0.5)
    run = scene.run(scene.queue())
    with transaction(sessions) as session:
        made = read_inputs(session, run, scene.at).assemble()
    (job,) = made.problem.jobs
    assert job.work == pytest.approx(1.0)
    assert "jobs: 1 of 1 planned" in made.marks[-1]
