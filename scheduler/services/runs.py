"""Planning runs: queued once per trigger key, looked at, called off. Claimed in ``planning``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, Select, select, update
from sqlalchemy.orm import Session

from scheduler.db.inserts import insert_new
from scheduler.db.models import PlanningRun, RunStatus
from scheduler.services.errors import Conflict, Invalid, NotFound, Refusal
from scheduler.services.paging import Page, PageRequest, read_page
from scheduler.services.window import slot_start_not_before

OPEN = (RunStatus.QUEUED, RunStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to plan. ``trigger_key`` makes it unique: asked again, it is the same run.

    ``asked`` is what a person sent, before defaults took the place of what was left out.
    """

    trigger_key: str
    requested_by: str
    hours: int
    time_limit_s: float
    window_start: datetime | None = None  # None: the next slot after it is claimed
    asked: dict[str, Any] | None = None
    reason: str = ""  # what has happened that it is asked for, where that is not a time or a person

    def within(self, time_limit_s: float) -> RunRequest:
        """Return the same with another time limit for the solver [s]."""
        return replace(self, time_limit_s=time_limit_s)


def queue_run(session: Session, request: RunRequest, now: datetime) -> tuple[PlanningRun, bool]:
    """Queue ``request`` unless its trigger key is known; says whether it is new.

    Of any number of processes doing so at once exactly one makes the run; all get it.
    """
    row = {
        "trigger_key": request.trigger_key,
        "requested_by": request.requested_by,
        "window_start": request.window_start,
        "hours": request.hours,
        "time_limit_s": request.time_limit_s,
        "asked": request.asked,
        "reason": request.reason,
        "queued_at": now,
    }
    created = insert_new(session, PlanningRun, [row]) == 1
    return session.scalars(_of_key(request.trigger_key)).one(), created


def is_like_one_waiting(
    session: Session, request: RunRequest, *, and_will_wait: bool = False
) -> bool:
    """Whether a run that nobody has begun yet will plan what ``request`` asks for.

    With ``and_will_wait`` nobody begins it before ``session`` is committed: it sees what that does.
    """
    like = select(PlanningRun.id).where(
        PlanningRun.status == RunStatus.QUEUED,
        PlanningRun.hours == request.hours,
        PlanningRun.time_limit_s == request.time_limit_s,
        PlanningRun.window_start.is_not_distinct_from(request.window_start),
    )
    # SQLite has one writer, and this is it where it has written.
    held = like.with_for_update() if and_will_wait else like
    return session.scalar(held.limit(1)) is not None


def request_run(
    session: Session, request: RunRequest, slot_minutes: int, now: datetime
) -> tuple[PlanningRun, bool]:
    """Queue what a person asked for; says whether it is new.

    The same request again is the same run, however late and whatever the defaults are by then.

    Raises
    ------
    Invalid
        It is new, and its window does not start with a slot or starts in the past.
    Conflict
        The trigger key was used for another request.
    """
    created = False
    run = session.scalar(_of_key(request.trigger_key))
    if run is None:
        _require_slot_ahead(request.window_start, slot_minutes, now)
        run, created = queue_run(session, request, now)
    if run.asked != request.asked:
        raise Conflict(f"idempotency key of {request.trigger_key} was used with another body")
    return run, created


def _of_key(trigger_key: str) -> Select[PlanningRun]:
    return select(PlanningRun).where(PlanningRun.trigger_key == trigger_key)


def _require_slot_ahead(start: datetime | None, slot_minutes: int, now: datetime) -> None:
    if start is None:
        return
    if slot_start_not_before(start, slot_minutes) != start:
        limit = f"a multiple of {slot_minutes} minutes"
        raise Invalid(Refusal("planning run", "window_start", start.isoformat(), limit))
    if start < now - timedelta(minutes=slot_minutes):
        limit = f"no earlier than the present slot; it is {now.isoformat(timespec='seconds')}"
        raise Invalid(Refusal("planning run", "window_start", start.isoformat(), limit))


def get_run(session: Session, run_id: UUID) -> PlanningRun:
    """Return one run."""
    run = session.get(PlanningRun, run_id)
    if run is None:
        raise NotFound("planning run", run_id)
    return run


def list_runs(session: Session, status: RunStatus | None, page: PageRequest) -> Page[PlanningRun]:
    """Return runs, newest first."""
    statement = select(PlanningRun)
    if status is not None:
        statement = statement.where(PlanningRun.status == status)
    return read_page(session, statement, PlanningRun.queued_at, PlanningRun.id, page)


def cancel_run(session: Session, run_id: UUID, now: datetime) -> PlanningRun:
    """Call off a run that is queued or under way; doing so twice changes nothing.

    A worker that is solving it finds out when it renews its lease, and drops what it has.

    Raises
    ------
    Conflict
        It has ended already.
    """
    stopped = cast(
        "CursorResult[Any]",
        session.execute(
            update(PlanningRun)
            .where(PlanningRun.id == run_id, PlanningRun.status.in_(OPEN))
            .values(status=RunStatus.CANCELLED, finished_at=now)
            .execution_options(synchronize_session=False)
        ),
    )
    run = get_run(session, run_id)
    session.refresh(run)
    if stopped.rowcount == 0 and run.status is not RunStatus.CANCELLED:
        raise Conflict(f"planning run {run_id} has already {run.status.value}")
    return run
