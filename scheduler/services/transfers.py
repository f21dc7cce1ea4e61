"""Transfers of input data on record: ordered by dispatch, followed to their end, accounted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import case, delete, func, or_, select, update
from sqlalchemy.orm import Session

from connectors.types import JobObservation, JobState
from scheduler.db.inserts import insert_new
from scheduler.db.models import OPEN_STATUSES, DataTransfer, Job, JobStatus

_OPEN_JOBS = select(Job.id).where(Job.status.in_(OPEN_STATUSES))


@dataclass(frozen=True, slots=True)
class OpenTransfer:
    """A row, detached, and whether the job it is for is over."""

    row: DataTransfer
    is_job_over: bool


def open_transfers(session: Session) -> tuple[OpenTransfer, ...]:
    """Read the transfers of jobs that are not over, and others that may still be moving."""
    rows = session.execute(
        select(DataTransfer, Job.status)
        .join(Job, Job.id == DataTransfer.job_id)
        .where(or_(DataTransfer.job_id.in_(_OPEN_JOBS), DataTransfer.status.in_(OPEN_STATUSES)))
    )
    return tuple(OpenTransfer(row, status.is_final) for row, status in rows)


def order_transfer(
    session: Session, job_id: UUID, site: str, what: Mapping[str, Any], now: datetime
) -> bool:
    """Put a transfer on record before it is ordered; False where its job needs it no more."""
    is_wanted = session.scalar(
        select(Job.id).where(
            Job.id == job_id,
            Job.status == JobStatus.WAITING,
            or_(Job.site.is_(None), Job.site == site),
            Job.cancel_requested_at.is_(None),
        )
    )
    if is_wanted is None:
        return False
    row = {"job_id": job_id, "site": site, "ordered_at": now, **what}
    insert_new(session, DataTransfer, [row])
    return True


def refuse_transfer(session: Session, job_id: UUID, site: str, reason: str, now: datetime) -> None:
    """Write down that a cluster will never begin a transfer."""
    _change(
        session,
        (job_id, site, JobStatus.WAITING, 0),
        {"status": JobStatus.FAILED, "reason": reason, "seen_at": now, "ended_at": now},
    )


def transfers_of(session: Session, jobs: Collection[UUID]) -> dict[UUID, list[DataTransfer]]:
    """Return the transfers of these jobs, the first one ordered first."""
    rows = session.scalars(
        select(DataTransfer)
        .where(DataTransfer.job_id.in_(jobs))
        .order_by(DataTransfer.ordered_at, DataTransfer.site)
    )
    found: dict[UUID, list[DataTransfer]] = {}
    for row in rows:
        found.setdefault(row.job_id, []).append(row)
    return found


def forget_transfers(session: Session, site: str) -> None:
    """Forget what was brought to a site for jobs that are not over: it is to be brought anew."""
    session.execute(
        delete(DataTransfer)
        .where(DataTransfer.site == site, DataTransfer.job_id.in_(_OPEN_JOBS))
        .execution_options(synchronize_session=False)
    )


def transfer_changes(
    row: DataTransfer, seen: JobObservation | None, now: datetime, *, is_job_over: bool
) -> dict[str, Any]:
    """Return the columns of a transfer that its cluster's report changes.

    ``seen`` is ``None`` where the cluster answered and does not know it.
    """
    if row.status in {JobStatus.SUCCEEDED, JobStatus.CANCELLED}:
        return {}
    if seen is None:
        return _unknown(row, now, is_job_over=is_job_over)
    status = JobStatus(seen.state.value)
    if (status, seen.starts) == (row.status, row.starts):
        is_other_reason = status is JobStatus.QUEUED and seen.reason != row.reason
        return {"reason": seen.reason} if is_other_reason else {}
    found: dict[str, Any] = {
        "status": status,
        "starts": seen.starts,
        "seen_at": now,
        "exit_code": seen.exit_code,
        "reason": seen.reason,
        "ended_at": (seen.ended_at or now) if seen.state.is_final else None,
    } | _moving(row, seen, now)
    if row.started_at is None and seen.starts > 0:
        found["started_at"] = seen.started_at or now
    if seen.state is JobState.SUCCEEDED:
        found["eur"] = row.size_gb * row.link_eur_per_gb
    if seen.state is JobState.FAILED:
        found["failures"] = row.failures + 1
    return found


def _moving(row: DataTransfer, seen: JobObservation, now: datetime) -> dict[str, Any]:
    """Return for how long it has moved in attempts that are over, and since when it moves now.

    What began and ended between two looks lasted as long as its cluster says, by its one clock.
    Else our instants count, and of its first start no other than one that can have been.
    """
    is_done = seen.state is JobState.SUCCEEDED
    if seen.starts == 1 and is_done and seen.started_at and seen.ended_at:
        return {"hours": _hours(seen.started_at, seen.ended_at), "moving_since": None}
    hours, since = row.hours, row.moving_since
    if seen.starts > row.starts:
        hours += _hours(since, now)
        is_first = seen.starts == 1
        first = seen.started_at if is_first else None
        since = now if first is None else min(now, max(first, row.ordered_at))
    elif since is None:
        since = now
    if seen.state is JobState.RUNNING:
        return {"hours": hours, "moving_since": since}
    return {"hours": hours + _hours(since, now), "moving_since": None}


def _hours(start: datetime | None, end: datetime) -> float:
    return 0.0 if start is None else max(0.0, (end - start) / timedelta(hours=1))


def closed(now: datetime) -> dict[str, Any]:
    """Return the columns of a transfer that is over without its cluster having said so."""
    return {
        "status": JobStatus.CANCELLED,
        "seen_at": now,
        "moving_since": None,
        "ended_at": now,
    }


def _unknown(row: DataTransfer, now: datetime, *, is_job_over: bool) -> dict[str, Any]:
    if is_job_over:
        return closed(now)
    was_refused = row.status is JobStatus.FAILED and row.starts == 0
    if row.status is JobStatus.WAITING or was_refused:
        return {}
    reason = f"cluster {row.site} does not know it any more: it is begun anew"
    return {
        "status": JobStatus.WAITING,
        "starts": 0,
        "times_forgotten": row.times_forgotten + 1,
        "seen_at": now,
        "started_at": None,
        "moving_since": None,
        "ended_at": None,
        "exit_code": None,
        "reason": reason,
        "hours": 0.0,
    }


def record_transfer(session: Session, row: DataTransfer, changed: Mapping[str, Any]) -> None:
    """Write what was seen of a transfer, unless somebody else wrote its standing meanwhile."""
    if changed:
        _change(session, (row.job_id, row.site, row.status, row.starts), changed)


def _change(
    session: Session, which: tuple[UUID, str, JobStatus, int], changed: Mapping[str, Any]
) -> None:
    job_id, site, status, starts = which
    session.execute(
        update(DataTransfer)
        .where(
            DataTransfer.job_id == job_id,
            DataTransfer.site == site,
            DataTransfer.status == status,
            DataTransfer.starts == starts,
        )
        .values(**changed)
        .execution_options(synchronize_session=False)
    )


@dataclass(frozen=True, slots=True)
class LinkTotals:
    """What was moved over one link and paid for it, of transfers that are done.

    ``gb_per_hour`` is the mean rate of those that came without a retry and were not begun anew,
    ``expected_gb_per_hour`` what the fleet said of the link when they were ordered; ``None`` where
    there is none.
    """

    from_site: str
    to_site: str
    transfers: int
    gb: float
    eur: float
    gb_per_hour: float | None
    expected_gb_per_hour: float | None


def link_totals(session: Session) -> tuple[LinkTotals, ...]:
    """Add up what is done, by link."""
    is_at_once = (DataTransfer.starts == 1) & (DataTransfer.times_forgotten == 0)
    is_timed = is_at_once & (DataTransfer.hours > 0)
    timed_gb = func.sum(case((is_timed, DataTransfer.size_gb), else_=0.0))
    hours = func.sum(case((is_timed, DataTransfer.hours), else_=0.0))
    expected = DataTransfer.size_gb / DataTransfer.link_gb_per_hour
    expected_hours = func.sum(case((is_timed, expected), else_=0.0))
    columns = DataTransfer.from_site, DataTransfer.site
    rows = session.execute(
        select(
            *columns,
            func.count(),
            func.sum(DataTransfer.size_gb),
            func.sum(DataTransfer.eur),
            timed_gb,
            hours,
            expected_hours,
        )
        .where(DataTransfer.status == JobStatus.SUCCEEDED)
        .group_by(*columns)
        .order_by(*columns)
    )
    return tuple(
        LinkTotals(start, end, n, gb, eur, _rate(timed, took), _rate(timed, expected))
        for start, end, n, gb, eur, timed, took, expected in rows
    )


def _rate(gb: float, hours: float) -> float | None:
    return gb / hours if hours > 0.0 else None
