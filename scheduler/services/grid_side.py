"""The grid side: events a virtual power plant calls are taken in, and delivery is reported to it.

Level-triggered, like dispatch: every poll compares what the other side lists now with what is on
record. Changes queue a replan, so that no obligation waits for the next daily run: one for all that
a poll takes in before it is begun. Taking an event in twice, and sending a report twice, does no
harm.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.errors import Unavailable
from connectors.protocols import VirtualPowerPlant
from connectors.types import GridEventKind, GridEventNotice, Report
from scheduler.db.models import GridEvent
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import fleet as fleets
from scheduler.services.errors import ServiceError
from scheduler.services.events import take_notice
from scheduler.services.grid_reports import send_reports
from scheduler.services.grid_signals import GridSignals
from scheduler.services.runs import is_like_one_waiting, queue_run
from scheduler.services.triggers import fleet_request
from scheduler.specs.grid_event import notice_of
from scheduler.timekeeping import Now

log = logging.getLogger(__name__)

ANSWER_S = 30.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll did: events that were new or had changed, by number, and reports sent."""

    changed: tuple[str, ...] = ()
    reported: int = 0


class GridSide:
    """Keeps events in step with one virtual power plant, and reports to it.

    Parameters
    ----------
    name
        What its events are recorded as received from. Events of other senders are left alone.
    """

    def __init__(
        self, sessions: SessionFactory, vpp: VirtualPowerPlant, name: str, now: Now
    ) -> None:
        self._sessions = sessions
        self._vpp = vpp
        self._name = name
        self._now = now
        self._has_queued = False  # a replan, in this poll
        self._signals = GridSignals(sessions, name, now)
        # Said once, not at every poll.
        self._refused: dict[str, str] = {}

    def poll(self) -> Poll:
        """Take in what the other side calls, then report what it asks for.

        Raises
        ------
        ConnectorError
            The other side does not answer as agreed; what was done until then stands.
        """
        notices = _answer(self._vpp.events())
        self._has_queued = False
        changed = (*self._take_in(notices), *self._take_in(self._no_longer_listed(notices)))
        self._signals.keep(self._vpp.signals())
        return Poll(changed, self._report())

    def _no_longer_listed(self, notices: Iterable[GridEventNotice]) -> list[GridEventNotice]:
        """Return what the other side called and lists no more, as called off."""
        listed = {notice.event_id for notice in notices}
        # Read after they were listed: what was over by then was not, and is not called off.
        return [
            replace(notice, is_cancelled=True)
            for number, notice in sorted(self._on_record().items())
            if number not in listed and not self._vpp.may_still_hold(number)
        ]

    def _take_in(self, notices: Iterable[GridEventNotice]) -> tuple[str, ...]:
        standing = self._on_record()
        # Most are as they were: those need no transaction each.
        news = [notice for notice in notices if standing.get(notice.event_id) != notice]
        return tuple(notice.event_id for notice in news if self._take(notice))

    def _on_record(self) -> dict[str, GridEventNotice]:
        """Return what was called and holds or will, as it was called."""
        standing = select(GridEvent).where(
            GridEvent.received_from == self._name,
            GridEvent.cancelled_at.is_(None),
            GridEvent.end_at > self._now(),
        )
        with transaction(self._sessions) as session:
            return {event.external_id: notice_of(event) for event in session.scalars(standing)}

    def _take(self, notice: GridEventNotice) -> bool:
        """Let one event stand as it is called now; a change and its replan are one transaction."""
        now = self._now()
        try:
            # The savepoint takes SQLite's write lock before anything is read.
            with transaction(self._sessions) as session, session.begin_nested():
                before = _standing(session, notice.event_id)
                if before is not None and before.received_from != self._name:
                    self._refuse(notice, f"its number is taken by one of {before.received_from}")
                    return False
                event = take_notice(session, notice, self._name, now)
                if event is None or _Standing.of(event) == before:
                    return False
                what = "called" if before is None else f"{now:%Y-%m-%dT%H:%M:%S.%fZ}"
                key = f"event/{notice.event_id}/{what}"
                fleet = fleets.required_spec(session)
                reason = f"grid event {notice.event_id} is new or changed"
                request = fleet_request(fleet, key, self._name, reason)
                # One plan knows of all that was taken in before it was begun: a flood makes one.
                if not self._has_queued or not is_like_one_waiting(
                    session, request, and_will_wait=True
                ):
                    queue_run(session, request, now)
        except ServiceError as error:
            self._refuse(notice, str(error))
            return False
        self._has_queued = True
        self._refused.pop(notice.event_id, None)
        log.info("grid event %s of %s: taken in, replanning", notice.event_id, self._name)
        return True

    def _refuse(self, notice: GridEventNotice, reason: str) -> None:
        if self._refused.get(notice.event_id) != reason:
            log.error(
                "grid event %s of %s is not honoured: %s", notice.event_id, self._name, reason
            )
            self._refused[notice.event_id] = reason

    def _report(self) -> int:
        due = self._vpp.reports_due()
        return send_reports(self._sessions, due, self._name, self._send, self._now)

    def _send(self, report: Report) -> None:
        _answer(self._vpp.report(report))


@dataclass(frozen=True, slots=True)
class _Standing:
    """An event as it is on record, as far as plans go by it."""

    id: UUID
    received_from: str
    called: GridEventNotice
    cancelled_at: datetime | None

    @classmethod
    def of(cls, event: GridEvent) -> _Standing:
        called = replace(notice_of(event), kind=GridEventKind.LIMIT, issued_at=None, priority=None)
        return cls(event.id, event.received_from, called, event.cancelled_at)


def _standing(session: Session, event_id: str) -> _Standing | None:
    # Locked, on PostgreSQL: of two pollers only one sees the change, and queues a replan.
    known = select(GridEvent).where(GridEvent.external_id == event_id).with_for_update()
    event = session.scalar(known)
    return None if event is None else _Standing.of(event)


def _answer(question: Awaitable[T]) -> T:
    """Wait for an answer, but not for ever."""

    async def within() -> T:
        return await asyncio.wait_for(question, ANSWER_S)

    try:
        return asyncio.run(within())
    except TimeoutError as error:
        raise Unavailable(f"no answer within {ANSWER_S:g} s") from error
