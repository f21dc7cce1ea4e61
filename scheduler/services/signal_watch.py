"""Once a minute: what came in a little at a time is looked at. Once a day: old values are thinned.

Any number may run. Each locks the signals it looks at, and thinning twice takes nothing more.
"""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta

from scheduler.db.session import SessionFactory, transaction
from scheduler.services import fleet as fleets
from scheduler.services.signal_arrivals import look_at_waiting
from scheduler.services.signal_compaction import Detail, compact
from scheduler.timekeeping import Now, seconds_to_next_minute

log = logging.getLogger(__name__)

COMPACT_EVERY = timedelta(days=1)


class SignalWatch:
    """Looks at what came in, and keeps no more than ``detail`` says; ``stop`` ends thinning."""

    def __init__(
        self, sessions: SessionFactory, now: Now, detail: Detail, stop: threading.Event
    ) -> None:
        self._sessions = sessions
        self._now = now
        self._detail = detail
        self._stop = stop
        self._compacted_at: datetime | None = None

    def look(self) -> None:
        """Look at what came in since the last time, and thin where a day has passed."""
        now = self._now()
        with transaction(self._sessions) as session:
            version = fleets.find_current(session)
            n_flags = (
                0 if version is None else look_at_waiting(session, fleets.spec_of(version), now)
            )
        if n_flags:
            log.warning("%d flags on signals: see gridtide signals quality", n_flags)
        if self._compacted_at is None or now - self._compacted_at >= COMPACT_EVERY:
            self._compact(now)

    def seconds_to_next(self) -> float:
        """Return how long it is to the next minute [s]."""
        return seconds_to_next_minute(self._now())

    def _compact(self, now: datetime) -> None:
        done = compact(self._sessions, now, self._detail, is_stopped=self._stop.is_set)
        if not self._stop.is_set():
            self._compacted_at = now
        if done.removed:
            log.info("%d of %d superseded values thinned", done.removed, done.superseded)
