"""How far jobs got, for reading the hours that the next ones state."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.db.models import Job, JobStatus
from scheduler.forecasting.run_times import RunLength, RunTimes, fitted_run_times
from scheduler.services.work import work_done_hours
from scheduler.specs import JobSpec

LOOK_BACK = timedelta(days=180)
MOST_JOBS = 20_000  # the last that ended or run


def read_run_times(session: Session, now: datetime) -> RunTimes | None:
    """Fit run times to the jobs of half a year; ``None`` where too few of them ended.

    A job that succeeded ended where it was. One that failed, was cancelled or still runs counts as
    having got as far as it did.
    """
    rows = session.scalars(
        select(Job)
        .where(Job.starts > 0, Job.started_at > now - LOOK_BACK)
        .order_by(Job.started_at.desc())
        .limit(MOST_JOBS)
    )
    return fitted_run_times([length for row in rows if (length := _length(row, now)) is not None])


def _length(row: Job, now: datetime) -> RunLength | None:
    spec = JobSpec.model_validate(row.spec)
    done = work_done_hours(row, spec, now)
    if done <= 0.0:
        return None
    has_ended = row.status is JobStatus.SUCCEEDED
    return RunLength(row.tenant, done / spec.work_hours, has_ended)


def expected_left_hours(
    run_times: RunTimes | None, spec: JobSpec, left_hours: float, quantile: float
) -> float | None:
    """Return the work that is expected to be left of a job [h at speed 1]; ``None``: as stated.

    Of jobs that have got as far as it has, a share ``quantile`` has no more left.
    """
    if run_times is None or spec.hours_are_exact:
        return None
    done = spec.work_hours - left_hours
    fraction = run_times.fraction(spec.tenant, quantile, done / spec.work_hours)
    return None if fraction is None else max(0.0, fraction * spec.work_hours - done)
