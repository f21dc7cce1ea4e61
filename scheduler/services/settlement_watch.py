"""Once a minute: events that are over are settled, each in a transaction of its own."""

from __future__ import annotations

import logging

from scheduler.db.outage import DATABASE_AWAY
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.event_settlement import events_due, settle_event
from scheduler.timekeeping import Now, seconds_to_next_minute

log = logging.getLogger(__name__)


class SettlementWatch:
    """Settles what is due. Any number may run: of the same settlement the database keeps one."""

    def __init__(self, sessions: SessionFactory, now: Now) -> None:
        self._sessions = sessions
        self._now = now

    def look(self) -> int:
        """Settle every event that is due; return how many settlements are new."""
        with transaction(self._sessions) as session:
            due = events_due(session, self._now())
        settled = 0
        for event_id in due:
            try:
                with transaction(self._sessions) as session:
                    settled += settle_event(session, event_id, self._now())
            except DATABASE_AWAY:
                raise
            except Exception:
                # One that cannot be settled stands in no other's way, and is tried again.
                log.exception("grid event %s: not settled", event_id)
        if settled:
            log.info("%d settlements of grid events", settled)
        return settled

    def seconds_to_next(self) -> float:
        """Return how long it is to the next minute [s]."""
        return seconds_to_next_minute(self._now())
