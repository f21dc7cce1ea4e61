"""Jobs that state more hours than they are expected to take, planned with what they will take.

With W the stated work that is left, E <= W the expected one, D the deadline and v the speed of the
slowest operating point, a job is planned as one of E hours that is due at D - (W - E) / v: wherever
it is put, the hours that it stated end by D. Where it does not fit so, it is planned as stated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from scheduler.services.assemble_jobs import JobToPlan
from scheduler.services.window import PlanWindow
from scheduler.specs import JobSpec, RunTimesSpec


def as_expected(
    jobs: Sequence[JobToPlan], spec: RunTimesSpec | None, window: PlanWindow
) -> tuple[list[JobToPlan], list[str]]:
    """Return the jobs with the hours they are planned with, and a mark where any are not stated."""
    if spec is None:
        return list(jobs), []
    planned = [_planned(job, spec, window) for job in jobs]
    n_changed = sum(new is not old for new, old in zip(planned, jobs, strict=True))
    if not n_changed:
        return planned, []
    mark = (
        f"jobs: {n_changed} of {len(jobs)} planned with the hours within which"
        f" {100 * spec.quantile:g} % of their tenants' jobs end"
    )
    return planned, [mark]


def _planned(job: JobToPlan, spec: RunTimesSpec, window: PlanWindow) -> JobToPlan:
    expected, stated = job.expected_left_hours, job.work_left_hours
    if expected is None or expected == stated:
        return job
    if expected > stated:
        # What runs longer than it said goes on, and its GPUs are not given away before.
        return replace(job, work_left_hours=expected) if job.is_running else job
    if spec.may_miss_deadline or (job.is_running and job.spec.pausing is None):
        return replace(job, work_left_hours=expected)
    speeds = [point.speed for point in job.spec.operating_points]
    due_at = job.spec.deadline_at - timedelta(hours=(stated - expected) / min(speeds))
    begin = max(job.spec.release_at, window.start)
    needed = timedelta(hours=expected / max(speeds)) + 2 * window.slot
    if begin + needed > due_at:
        return job
    return replace(job, work_left_hours=expected, spec=_due_at(job, due_at))


def _due_at(job: JobToPlan, due_at: datetime) -> JobSpec:
    """Return its spec with an earlier deadline; one that it was to meet before stands."""
    due = job.spec.due_at
    still = due if due is not None and due <= due_at else None
    return job.spec.model_copy(update={"deadline_at": due_at, "due_at": still})
