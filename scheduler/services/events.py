"""Grid events: taken in once by the number the grid side gave them, changed, called off."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from connectors.types import GridEventNotice
from scheduler.db.models import GridEvent
from scheduler.services import fleet
from scheduler.services.errors import Conflict, Invalid, NotFound, Refusal
from scheduler.services.paging import Page, PageRequest, read_page
from scheduler.specs.grid_event import notice_of


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; ``ends_after`` leaves out those that are over by then."""

    site: str | None = None
    ends_after: datetime | None = None
    with_cancelled: bool = True


def create_event(
    session: Session, notice: GridEventNotice, received_from: str, now: datetime
) -> tuple[GridEvent, bool]:
    """Take in ``notice`` unless its number is known; says whether it is new.

    Raises
    ------
    Invalid
        Its site is not in the fleet, or it is over.
    Conflict
        Another event has its number, or it was called off.
    """
    known = _find(session, notice.event_id)
    if known is not None:
        return _same_or_conflict(known, notice), False
    _require_acceptable(session, notice, now)
    event = GridEvent(external_id=notice.event_id, received_at=now, received_from=received_from)
    _give(event, notice)
    try:
        with session.begin_nested():
            session.add(event)
    except IntegrityError:
        # Somebody else took it in between our look and our insert.
        return _same_or_conflict(get_event(session, notice.event_id), notice), False
    return event, True


def update_event(
    session: Session, external_id: str, notice: GridEventNotice, now: datetime
) -> GridEvent:
    """Give a known event the values of ``notice``, also one that was called off: it holds again.

    Raises
    ------
    NotFound
        There is no event of this number.
    Invalid
        Its site is not in the fleet, it is over, or ``notice`` has another number.
    """
    event = get_event(session, external_id)
    if notice.event_id != external_id:
        limit = f"{external_id!r}, as in the address"
        raise Invalid(Refusal(f"grid event {external_id}", "external_id", notice.event_id, limit))
    if event.cancelled_at is None and notice_of(event) == notice:
        return event
    _require_acceptable(session, notice, now)
    _give(event, notice)
    event.cancelled_at = None
    return event


def take_notice(
    session: Session, notice: GridEventNotice, received_from: str, now: datetime
) -> GridEvent | None:
    """Let the event stand as the grid side says now: new, changed, called off, or as it was.

    ``None`` where it was called off before it was ever known.

    Raises
    ------
    Invalid
        Its site is not in the fleet, or what is new about it concerns the past only.
    """
    known = _find(session, notice.event_id)
    if notice.is_cancelled:
        return None if known is None else cancel_event(session, notice.event_id, now)
    if known is None:
        return create_event(session, notice, received_from, now)[0]
    return update_event(session, notice.event_id, notice, now)


def get_event(session: Session, external_id: str) -> GridEvent:
    """Return the event of this number."""
    event = _find(session, external_id)
    if event is None:
        raise NotFound("grid event", external_id)
    return event


def list_events(session: Session, wanted: EventFilter, page: PageRequest) -> Page[GridEvent]:
    """Return events, the one that starts last first."""
    statement = select(GridEvent)
    if wanted.site is not None:
        statement = statement.where(GridEvent.site == wanted.site)
    if wanted.ends_after is not None:
        statement = statement.where(GridEvent.end_at > wanted.ends_after)
    if not wanted.with_cancelled:
        statement = statement.where(GridEvent.cancelled_at.is_(None))
    return read_page(session, statement, GridEvent.start_at, GridEvent.id, page)


def cancel_event(session: Session, external_id: str, now: datetime) -> GridEvent:
    """Call an event off; doing so twice changes nothing. The next plan no longer honours it."""
    event = get_event(session, external_id)
    if event.cancelled_at is None:
        event.cancelled_at = now
    return event


def _find(session: Session, external_id: str) -> GridEvent | None:
    return session.scalar(select(GridEvent).where(GridEvent.external_id == external_id))


def _same_or_conflict(event: GridEvent, notice: GridEventNotice) -> GridEvent:
    if notice_of(event) != notice:
        raise Conflict(f"grid event {event.external_id} is known with other values: update it")
    if event.cancelled_at is not None:
        at = event.cancelled_at.isoformat(timespec="seconds")
        raise Conflict(
            f"grid event {event.external_id} was called off at {at}: update it to have it hold"
        )
    return event


def _give(event: GridEvent, notice: GridEventNotice) -> None:
    event.site, event.limit_kw = notice.site, notice.limit_kw
    event.start_at, event.end_at = notice.window.start, notice.window.end
    event.breach_eur_per_kwh = notice.breach_eur_per_kwh
    event.kind, event.priority = notice.kind, notice.priority
    event.issued_at, event.ramp_minutes = notice.issued_at, notice.ramp_minutes
    event.payment_eur_per_kwh = notice.payment_eur_per_kwh
    event.rebound_kw, event.rebound_minutes = notice.rebound_kw, notice.rebound_minutes
    event.rebound_eur_per_kwh = notice.rebound_eur_per_kwh


def _require_acceptable(session: Session, notice: GridEventNotice, now: datetime) -> None:
    owner = f"grid event {notice.event_id}"
    sites = [site.name for site in fleet.required_spec(session).sites]
    if notice.site not in sites:
        raise Invalid(Refusal(owner, "site", notice.site, f"one of {', '.join(sites)}"))
    if notice.window.end <= now:
        end = notice.window.end.isoformat()
        raise Invalid(Refusal(owner, "end_at", end, f"after now, {now.isoformat()}"))
