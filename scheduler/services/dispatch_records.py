"""What dispatch reads and writes: snapshots before, intents before sending, outcomes after."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID, uuid4

from pydantic import ValidationError
from sqlalchemy import ColumnElement, CursorResult, exists, or_, select, update
from sqlalchemy.orm import Session

from connectors.types import JobState
from scheduler.db.models import (
    OPEN_STATUSES,
    CommandKind,
    CommandOutcome,
    DispatchCommand,
    Job,
    JobStatus,
    PlanStatus,
    StoredPlan,
)
from scheduler.services.dispatch_recent import unsettled_order
from scheduler.services.dispatch_send import Recorded, Sent
from scheduler.services.dispatch_types import Command, Ending, JobSnapshot
from scheduler.services.job_runs import note_run
from scheduler.services.transfers import order_transfer, refuse_transfer
from scheduler.services.work import work_done_hours
from scheduler.specs import JobSpec

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenJob:
    """A row, detached, and what it says."""

    row: Job
    spec: JobSpec


def governing_plan(session: Session, now: datetime) -> UUID | None:
    """Return the plan whose word holds now, ``None`` where there is none.

    It is the plan put in force last of those whose window has begun: until the window of a new plan
    begins, the one it superseded goes on. Where its window is over, nothing is planned.
    """
    stored = session.scalar(
        select(StoredPlan)
        .where(
            StoredPlan.status.in_((PlanStatus.IN_FORCE, PlanStatus.SUPERSEDED)),
            StoredPlan.decided_at.is_not(None),  # others were superseded as proposals
            StoredPlan.window_start <= now,
        )
        .order_by(StoredPlan.status != PlanStatus.IN_FORCE, StoredPlan.decided_at.desc())
        .limit(1)
    )
    if stored is None or stored.window_end <= now:
        return None
    return stored.id


def open_jobs(session: Session) -> list[OpenJob]:
    """Read jobs that are not over, in the order they came; one that cannot be read is logged."""
    rows = session.scalars(
        select(Job).where(Job.status.in_(OPEN_STATUSES)).order_by(Job.submitted_at, Job.name)
    ).all()
    return [job for job in map(_open_job, rows) if job is not None]


def _open_job(row: Job) -> OpenJob | None:
    try:
        return OpenJob(row, JobSpec.model_validate(row.spec))
    except ValidationError:
        log.exception("job %s: left as it is", row.name)
        return None


def succeeded_among(session: Session, names: set[str]) -> set[str]:
    """Return those of ``names`` that have succeeded."""
    succeeded = select(Job.name).where(Job.name.in_(names), Job.status == JobStatus.SUCCEEDED)
    return set(session.scalars(succeeded))


def standing_of(
    session: Session, jobs: Collection[UUID]
) -> dict[UUID, tuple[JobStatus, str | None]]:
    """Return the status and site of those of ``jobs`` that are on record."""
    rows = session.execute(select(Job.id, Job.status, Job.site).where(Job.id.in_(jobs)))
    return {row.id: (row.status, row.site) for row in rows}


def snapshot(
    job: OpenJob, changed: Mapping[str, Any], now: datetime, *, ready: bool, under_way: bool
) -> JobSnapshot:
    """Put a row, what was just seen of it, and whether its order is under way together."""
    row, spec = job.row, job.spec
    done = changed.get("work_done_hours", work_done_hours(row, spec, now))
    return JobSnapshot(
        id=row.id,
        spec=spec,
        status=changed.get("status", row.status),
        site=changed.get("site", row.site),
        point=row.point,
        is_cancel_requested=row.cancel_requested_at is not None,
        is_ready=ready,
        work_left_hours=max(0.0, spec.work_hours - done),
        is_order_under_way=under_way,
        starts=changed.get("starts", row.starts),
        crashes=changed.get("crashes", row.crashes),
        failed_checkpoints=changed.get("failed_checkpoints", row.failed_checkpoints),
    )


def record_changes(
    session: Session, job: OpenJob, changed: Mapping[str, Any], now: datetime
) -> None:
    """Write what was seen of a job, unless somebody else wrote its standing meanwhile."""
    _write(session, job, [Job.status == job.row.status], changed, now)


def _write(
    session: Session,
    job: OpenJob,
    unless_changed: Collection[ColumnElement[bool]],
    values: Mapping[str, Any],
    now: datetime,
) -> None:
    """Change columns of a job that stands so, and write down the run that it begins or ends."""
    statement = (
        update(Job)
        .where(Job.id == job.row.id, *unless_changed)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    if cast("CursorResult[Any]", session.execute(statement)).rowcount == 1:
        note_run(session, job.row, values, now)


def record_ending(session: Session, job: JobSnapshot, ending: Ending, now: datetime) -> None:
    """End a job that no cluster has, unless it was handed to one meanwhile."""
    session.execute(
        update(Job)
        .where(
            Job.id == job.id,
            Job.status == job.status,
            Job.site.is_not_distinct_from(job.site),
            ~_has_unsettled_order(now),
        )
        .values(status=ending.status, reason=ending.reason, ended_at=now)
        .execution_options(synchronize_session=False)
    )


def record_intent(
    session: Session, command: Command, plan: UUID | None, now: datetime
) -> Recorded | None:
    """Write a command down as pending; ``None`` where it must not be sent after all.

    A job is first claimed for its site. It is sent to another one only after the first has said
    that it did not take it: a crash between here and the outcome cannot make it run twice.
    """
    if command.kind is CommandKind.SUBMIT and not _claim(session, command):
        return None
    if command.kind is CommandKind.STAGE and command.job_id is not None:
        what = command.detail
        if not order_transfer(session, command.job_id, command.site, what, now):
            return None
    known = {"point": command.point, "power_cap_w": command.power_cap_w} | command.detail
    row = DispatchCommand(
        id=uuid4(),
        plan_id=plan,
        job_id=command.job_id,
        site=command.site,
        kind=command.kind,
        detail={name: value for name, value in known.items() if value is not None},
        decided_at=now,
        outcome=CommandOutcome.PENDING,
    )
    session.add(row)
    return Recorded(row.id, command)


def _claim(session: Session, command: Command) -> bool:
    statement = (
        update(Job)
        .where(
            Job.id == command.job_id,
            Job.status == JobStatus.WAITING,
            Job.cancel_requested_at.is_(None),
            or_(Job.site.is_(None), Job.site == command.site),
        )
        .values(site=command.site, point=command.point)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", session.execute(statement)).rowcount == 1


def record_outcome(session: Session, sent: Sent, job: OpenJob | None, now: datetime) -> None:
    """Write down what came of a command, and what it means for its job."""
    session.execute(
        update(DispatchCommand)
        .where(DispatchCommand.id == sent.recorded.id)
        .values(outcome=sent.outcome, finished_at=now, error=sent.error or None)
    )
    command = sent.recorded.command
    is_refused = sent.outcome is CommandOutcome.REFUSED
    if is_refused and command.kind is CommandKind.STAGE and command.job_id is not None:
        refuse_transfer(session, command.job_id, command.site, sent.error, now)
    if job is None:
        return
    values = _meaning(sent, job, now)
    if not values:
        return
    which: list[ColumnElement[bool]] = [Job.status.in_(OPEN_STATUSES)]
    if command.kind is CommandKind.SUBMIT:
        which = [Job.status == JobStatus.WAITING, Job.site == command.site]
    if sent.outcome is CommandOutcome.BUSY:
        # Somebody else's order may have got the GPUs: then it must not be sent elsewhere.
        which.append(~_has_unsettled_order(now))
    _write(session, job, which, values, now)


def _has_unsettled_order(now: datetime) -> ColumnElement[bool]:
    return exists().where(DispatchCommand.job_id == Job.id, unsettled_order(now))


def _meaning(sent: Sent, job: OpenJob, now: datetime) -> dict[str, Any]:
    """Columns of the job that the outcome changes; the rest is left for the next observation."""
    command = sent.recorded.command
    if sent.outcome is not CommandOutcome.DONE:
        return _meaning_of_no(sent, now) if command.kind is CommandKind.SUBMIT else {}
    match command.kind:
        case CommandKind.SUBMIT if sent.state is JobState.QUEUED:
            return {"status": JobStatus.QUEUED, "reason": ""}
        case CommandKind.SUBMIT:
            return {
                "status": JobStatus.RUNNING,
                "site": command.site,  # as it was claimed
                "point": command.point,
                "starts": 1,
                "started_at": now,
                "work_seen_at": now,
                "reason": "",
            }
        case CommandKind.RESUME:
            return {"point": command.point}
        case CommandKind.POWER_CAP:
            done = work_done_hours(job.row, job.spec, now)
            return {"point": command.point, "work_done_hours": done, "work_seen_at": now}
        case _:
            return {}


def _meaning_of_no(sent: Sent, now: datetime) -> dict[str, Any]:
    """Columns that an order changes which the cluster did not carry out."""
    if sent.outcome is CommandOutcome.REFUSED:
        return {"status": JobStatus.FAILED, "reason": sent.error, "ended_at": now}
    if sent.outcome is CommandOutcome.BUSY:
        return {"site": None, "point": None}  # free to be started anywhere
    return {}
