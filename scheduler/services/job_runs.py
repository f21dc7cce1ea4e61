"""When jobs ran, at which site and operating point: written as dispatch sees it, read by slot.

An instant is that of the tick that saw it, by our clock: a cluster's own is another.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from connectors.types import Window
from scheduler.db.inserts import insert_new
from scheduler.db.models import Job, JobRun, JobStatus


def note_run(session: Session, row: Job, changed: Mapping[str, Any], at: datetime) -> None:
    """Begin or end a run where ``changed`` columns of ``row`` say that it does."""
    was_running = row.status is JobStatus.RUNNING
    is_running = changed.get("status", row.status) is JobStatus.RUNNING
    point = changed.get("point", row.point)
    start = changed.get("starts", row.starts)
    if was_running and is_running and (point, start) == (row.point, row.starts):
        return
    if was_running:
        _end(session, row.id, at)
    site = changed.get("site", row.site)
    if is_running and site is not None:
        begun = {
            "job_id": row.id,
            "began_at": at,
            "start": start,
            "site": site,
            "point": point,
        }
        insert_new(session, JobRun, [begun])


def runs_in(session: Session, site: str, window: Window) -> list[JobRun]:
    """Return the runs at ``site`` that reach into ``window``, in order of their beginning."""
    reaching = select(JobRun).where(
        JobRun.site == site,
        JobRun.began_at < window.end,
        or_(JobRun.ended_at.is_(None), JobRun.ended_at > window.start),
    )
    return list(session.scalars(reaching.order_by(JobRun.began_at, JobRun.job_id)))


def runs_of(session: Session, jobs: Collection[UUID]) -> list[JobRun]:
    """Return every run of ``jobs``, in order of their beginning."""
    of_jobs = select(JobRun).where(JobRun.job_id.in_(jobs))
    return list(session.scalars(of_jobs.order_by(JobRun.began_at, JobRun.job_id)))


def _end(session: Session, job: UUID, at: datetime) -> None:
    """End the run that goes on; one that has just begun is none."""
    goes_on = JobRun.job_id == job, JobRun.ended_at.is_(None)
    unsynchronised = {"synchronize_session": False}
    just_begun = delete(JobRun).where(*goes_on, JobRun.began_at >= at)
    session.execute(just_begun, execution_options=unsynchronised)
    over = update(JobRun).where(*goes_on).values(ended_at=at)
    session.execute(over, execution_options=unsynchronised)
