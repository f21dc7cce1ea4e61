"""Grid events that are over are settled, and settled again when more of them becomes known.

Every settlement is kept; one that says the same as the last is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from pydantic import TypeAdapter
from sqlalchemy import exists, select
from sqlalchemy.orm import Session, undefer

from scheduler.db.inserts import insert_new
from scheduler.db.models import EventSettlement, GridEvent, TelemetryValue
from scheduler.services import fleet as fleets
from scheduler.services.errors import Conflict, NotFound
from scheduler.services.event_report import LONGEST_EVENT, SHOWN_AROUND, called_window, report_of
from scheduler.services.events import get_event
from scheduler.settlement.report import EventReport
from scheduler.specs.message import TelemetrySeries

SETTLED_AFTER = SHOWN_AROUND + timedelta(minutes=10)
"""So long after its end an event is settled: by then its last readings are in."""

OPEN_FOR = timedelta(days=31)
"""So long after its end it is settled again when readings come late: so long readings are kept."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether an event is settled, and to what, in words."""

    is_settled: bool
    words: str


_LATE_FROM = timedelta(hours=4)
_REPORT = TypeAdapter(EventReport)


def events_due(session: Session, now: datetime) -> list[UUID]:
    """Return the events to settle: those that were not, or of which something came in since."""
    version = fleets.find_current(session)
    if version is None:
        return []
    over = select(GridEvent).where(
        GridEvent.site.in_([site.name for site in fleets.spec_of(version).sites]),
        GridEvent.start_at < now,
        GridEvent.end_at > now - OPEN_FOR,
    )
    return [
        event.id
        for event in session.scalars(over.order_by(GridEvent.end_at, GridEvent.external_id))
        if _why_not(event, now) is None and _is_due(session, event, now)
    ]


def settle_event(session: Session, event_id: UUID, now: datetime) -> bool:
    """Settle one event that is over; false where nothing is new."""
    event = session.get_one(GridEvent, event_id)
    document = _REPORT.dump_python(report_of(session, event), mode="json")
    last = _last(session, event_id)
    if last is not None and last.document == document:
        last.checked_at = now
        return False
    row = _row(event_id, 0 if last is None else last.revision + 1, document, now)
    return insert_new(session, EventSettlement, [row]) == 1


def read_settlements(session: Session, external_id: str) -> Sequence[EventSettlement]:
    """Return every settlement of an event, the latest first; ``NotFound`` without such an event."""
    event = get_event(session, external_id)
    of_event = select(EventSettlement).where(EventSettlement.event_id == event.id)
    return session.scalars(of_event.order_by(EventSettlement.revision.desc())).all()


def read_report(
    session: Session, external_id: str, now: datetime, revision: int | None = None
) -> tuple[EventSettlement, EventReport]:
    """Return the latest settlement of an event, or the one of this number.

    Raises
    ------
    NotFound
        There is no event, or no settlement, of this number.
    Conflict
        It is not settled, with the reason.
    """
    event = get_event(session, external_id)
    found = _last(session, event.id, revision)
    if found is None and revision is not None:
        raise NotFound(f"settlement of grid event {external_id}", revision)
    if found is None:
        why = _why_not(event, now) or "it is settled within a minute or two"
        raise Conflict(f"grid event {external_id} is not settled yet: {why}")
    return found, _REPORT.validate_python(found.document)


def standings(session: Session, events: Sequence[GridEvent], now: datetime) -> tuple[Standing, ...]:
    """Say of each of ``events`` how its settlement stands."""
    of_events = EventSettlement.event_id.in_([event.id for event in events])
    newest = select(EventSettlement).where(of_events).order_by(EventSettlement.revision)
    last = {one.event_id: one for one in session.scalars(newest)}
    return tuple(_standing(event, last.get(event.id), now) for event in events)


def _standing(event: GridEvent, last: EventSettlement | None, now: datetime) -> Standing:
    if last is None:
        return Standing(False, f"not settled: {_why_not(event, now) or 'it is due'}")
    score = "no score" if last.score is None else f"{100 * last.score:.0f} % of what was asked"
    return Standing(True, score if last.is_whole else f"{score}, not all is known")


def _why_not(event: GridEvent, now: datetime) -> str | None:
    """Say why an event is not to be settled; ``None``: it is."""
    window = called_window(event)
    if window is None:
        return "it was called off before it began"
    if window.end - window.start > LONGEST_EVENT:
        return f"it lasts longer than {LONGEST_EVENT.days} days"
    due_at = window.end + SETTLED_AFTER
    if now < due_at:
        return f"that is done from {due_at.isoformat(timespec='seconds')} on"
    if now >= window.end + OPEN_FOR:
        return f"it ended more than {OPEN_FOR.days} days ago"
    return None


def _is_due(session: Session, event: GridEvent, now: datetime) -> bool:
    last = _last(session, event.id)
    if last is None:
        return True
    at = TelemetryValue.at
    came_late = exists().where(
        TelemetryValue.site == event.site,
        TelemetryValue.series == TelemetrySeries.SITE_POWER,
        TelemetryValue.device == "",
        at >= event.start_at - _LATE_FROM,
        at <= min(event.end_at + SHOWN_AROUND, now),
        TelemetryValue.received_at > last.checked_at,
    )
    return bool(session.scalar(select(came_late)))


def _last(session: Session, event_id: UUID, revision: int | None = None) -> EventSettlement | None:
    wanted = select(EventSettlement).where(EventSettlement.event_id == event_id)
    if revision is not None:
        wanted = wanted.where(EventSettlement.revision == revision)
    latest = wanted.order_by(EventSettlement.revision.desc()).limit(1)
    return session.scalar(latest.options(undefer(EventSettlement.document)))


def _row(
    event_id: UUID, revision: int, document: dict[str, Any], now: datetime
) -> dict[str, object]:
    result = _REPORT.validate_python(document).result
    return {
        "id": uuid4(),
        "event_id": event_id,
        "revision": revision,
        "settled_at": now,
        "checked_at": now,
        "is_whole": result.is_whole,
        "score": result.score,
        "payment_eur": result.payment_eur,
        "penalty_eur": result.penalty_eur,
        "document": document,
    }
