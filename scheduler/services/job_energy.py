"""Energy of jobs on record: whose is still to be asked for, what is settled, and its sum."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from connectors.types import PowerScope, StartEnergy
from scheduler.db.inserts import insert_new
from scheduler.db.models import OPEN_STATUSES, Job, JobEnergy, JobStatus


@dataclass(frozen=True, slots=True)
class EnergyTotal:
    """Energy of a job that was measured, and of how many of its starts.

    ``kwh`` is ``None`` where none was, or where some were counted with their whole servers and
    others by their GPUs alone: those make no sum.
    """

    kwh: float | None
    scope: PowerScope | None
    starts_measured: int
    starts: int


def unsettled_jobs(
    session: Session, site: str, after: UUID | None, ended_since: datetime, at_most: int
) -> list[UUID]:
    """Return jobs of ``site`` with starts that may be over and of which nothing is settled yet.

    They come in the order of their ids, those behind ``after``.
    """
    # By the key of each job that is looked at: the table grows with every start there ever was.
    n_settled = (
        select(func.count())
        .select_from(JobEnergy)
        .where(JobEnergy.job_id == Job.id)
        .correlate(Job)
        .scalar_subquery()
    )
    goes_on = Job.status == JobStatus.RUNNING
    wanted = select(Job.id).where(
        Job.site == site,
        or_(Job.status.in_(OPEN_STATUSES), Job.ended_at >= ended_since),
        or_(~goes_on & (Job.starts > n_settled), Job.starts > n_settled + 1),
    )
    if after is not None:
        wanted = wanted.where(Job.id > after)
    return list(session.scalars(wanted.order_by(Job.id).limit(at_most)))


def record_energy(
    session: Session,
    site: str,
    jobs: Collection[UUID],
    found: Iterable[StartEnergy],
    now: datetime,
) -> int:
    """Keep what is settled of starts of ``jobs``; what was kept before stays. Return how many."""
    keys = {str(job): job for job in jobs}
    rows = [
        {
            "job_id": keys[one.key],
            "start": one.start,
            "site": site,
            "started_at": one.started_at,
            "ended_at": one.ended_at,
            "kwh": one.kwh,
            "source": one.source,
            "scope": one.scope,
            "reason": one.reason,
            "recorded_at": now,
        }
        for one in found
        if one.key in keys
    ]
    return insert_new(session, JobEnergy, rows)


def energy_of(session: Session, jobs: Collection[UUID]) -> dict[UUID, list[JobEnergy]]:
    """Return what is on record of these jobs, start by start."""
    rows = session.scalars(
        select(JobEnergy)
        .where(JobEnergy.job_id.in_(jobs))
        .order_by(JobEnergy.job_id, JobEnergy.start)
    )
    found: dict[UUID, list[JobEnergy]] = {}
    for row in rows:
        found.setdefault(row.job_id, []).append(row)
    return found


def total_of(starts: int, rows: Sequence[JobEnergy]) -> EnergyTotal:
    """Add up what was measured of a job that was started so often."""
    measured = [row.kwh for row in rows if row.kwh is not None]
    scopes = {row.scope for row in rows if row.kwh is not None}
    is_sum = len(scopes) == 1
    return EnergyTotal(
        kwh=sum(measured) if is_sum else None,
        scope=next(iter(scopes)) if is_sum else None,
        starts_measured=len(measured),
        starts=starts,
    )
