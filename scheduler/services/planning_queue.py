"""Runs as a worker sees them: claimed by lease, kept by renewing it, given back or ended.

A lease counts real time, also where the scheduler's clock is accelerated. Every change of a claimed
run is one conditional UPDATE on its owner, so a worker that lost its lease can change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, and_, or_, select, update
from sqlalchemy.orm import Session

from optimizer import Progress
from scheduler.db.models import PlanningRun, RunStatus

MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Lease:
    """The hold one worker has on one run."""

    run_id: UUID
    owner: str


def claim_run(
    session: Session, owner: str, now: datetime, lease_now: datetime, lease_s: float
) -> PlanningRun | None:
    """Take the oldest run that waits or whose worker died; ``None`` where there is none.

    Of any number of workers exactly one gets a run.
    """
    oldest = (
        select(PlanningRun.id)
        .where(_is_free(lease_now), PlanningRun.attempts < MAX_ATTEMPTS)
        .order_by(PlanningRun.queued_at, PlanningRun.id)
        .limit(1)
        # PostgreSQL passes over runs that others are claiming. SQLite knows no such lock; there the
        # condition of the UPDATE alone decides.
        .with_for_update(skip_locked=True)
    )
    claimed = session.execute(
        update(PlanningRun)
        .where(PlanningRun.id == oldest.scalar_subquery(), _is_free(lease_now))
        .values(
            status=RunStatus.RUNNING,
            attempts=PlanningRun.attempts + 1,
            started_at=now,
            lease_owner=owner,
            lease_expires_at=lease_now + timedelta(seconds=lease_s),
            progress=None,
        )
        .returning(PlanningRun.id)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    return None if claimed is None else session.get(PlanningRun, claimed, populate_existing=True)


def renew_lease(
    session: Session,
    lease: Lease,
    lease_now: datetime,
    lease_s: float,
    progress: Progress | None = None,
) -> bool:
    """Hold on to a run, and show how far it is; false where it was cancelled or taken away."""
    values: dict[str, Any] = {"lease_expires_at": lease_now + timedelta(seconds=lease_s)}
    if progress is not None:
        values["progress"] = {
            "phase": progress.phase,
            "seconds": progress.seconds,
            "best": progress.best,
            "bound": progress.bound,
            "gap": progress.gap,
        }
    return _change(session, lease, **values)


def give_back(session: Session, lease: Lease) -> bool:
    """Queue a run again, without counting the attempt: the worker was asked to stop."""
    return _change(
        session,
        lease,
        status=RunStatus.QUEUED,
        attempts=PlanningRun.attempts - 1,
        started_at=None,
        lease_owner=None,
        lease_expires_at=None,
        progress=None,
    )


def fail_run(session: Session, lease: Lease, now: datetime, error: str) -> bool:
    """End a run for good, with the reason."""
    return _change(
        session,
        lease,
        status=RunStatus.FAILED,
        finished_at=now,
        error=error,
        lease_owner=None,
        lease_expires_at=None,
    )


def succeed_run(session: Session, lease: Lease, now: datetime, plan_id: UUID) -> bool:
    """End a run with its plan; false where the lease is lost, and the plan must not be stored."""
    return _change(
        session,
        lease,
        status=RunStatus.SUCCEEDED,
        finished_at=now,
        plan_id=plan_id,
        error=None,
        lease_owner=None,
        lease_expires_at=None,
    )


def give_up_hopeless(session: Session, now: datetime, lease_now: datetime) -> int:
    """Fail runs whose workers died on them too often; return how many."""
    statement = (
        update(PlanningRun)
        .where(_is_free(lease_now), PlanningRun.attempts >= MAX_ATTEMPTS)
        .values(
            status=RunStatus.FAILED,
            finished_at=now,
            error=f"given up after {MAX_ATTEMPTS} attempts: each time the worker died or lost its"
            " lease before there was a plan",
            lease_owner=None,
            lease_expires_at=None,
        )
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", session.execute(statement)).rowcount


def _is_free(lease_now: datetime) -> ColumnElement[bool]:
    """Select runs that nobody works on: queued, or with a lease that ran out."""
    return or_(
        PlanningRun.status == RunStatus.QUEUED,
        and_(PlanningRun.status == RunStatus.RUNNING, PlanningRun.lease_expires_at < lease_now),
    )


def _change(session: Session, lease: Lease, **values: Any) -> bool:
    statement = (
        update(PlanningRun)
        .where(
            PlanningRun.id == lease.run_id,
            PlanningRun.status == RunStatus.RUNNING,
            PlanningRun.lease_owner == lease.owner,
        )
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", session.execute(statement)).rowcount == 1
