"""The grid side's loop: one poll after the other, whatever happens to either side meanwhile.

Whoever hears of news may have it poll before its time. That is all that news can do: a poll finds
out what is true, and a flood of them makes it no more than one every ``SOONEST_S``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from connectors.errors import ConnectorError
from scheduler.db.outage import DATABASE_AWAY
from scheduler.db.session import SessionFactory, transaction
from scheduler.loops import again_and_again
from scheduler.services.grid_side import GridSide
from scheduler.services.wake_ups import GRID_SIDE, times_asked

log = logging.getLogger(__name__)

SOONEST_S = 2.0
LOOK_EVERY_S = 1.0


class Notifier(Protocol):
    """Somebody who hears of news of the other side."""

    def run(self, wake: Callable[[], None], stop: threading.Event) -> None:
        """Call ``wake`` at each of them, until ``stop`` is set."""
        ...


class Alarm:
    """Ends the pause between two polls: rung in this process, or by another over the database."""

    def __init__(
        self,
        sessions: SessionFactory,
        soonest_s: float = SOONEST_S,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._sessions = sessions
        self._soonest_s = soonest_s
        self._look_every_s = look_every_s
        self._rung = threading.Event()
        self._times = 0

    def ring(self) -> None:
        """Have the next poll as soon as may be."""
        self._rung.set()

    def wait(self, stop: threading.Event, pause_s: float) -> None:
        """Wait out the pause [s], or until it rings, but for no less than the soonest."""
        until = time.monotonic() + pause_s
        stop.wait(min(self._soonest_s, pause_s))
        while not stop.is_set() and not self._has_rung() and time.monotonic() < until:
            self._rung.wait(min(self._look_every_s, max(0.0, until - time.monotonic())))
        # Cleared before the poll begins: what rings while it goes on is not lost.
        self._rung.clear()

    def _has_rung(self) -> bool:
        before = self._times
        try:
            with transaction(self._sessions) as session:
                self._times = times_asked(session, GRID_SIDE)
        except DATABASE_AWAY as error:
            log.info("wake-ups cannot be read: %s", error.orig)
        return self._rung.is_set() or self._times != before


def run_grid_side(
    grid_side: GridSide, stop: threading.Event, every_s: float, alarm: Alarm | None = None
) -> None:
    """Poll until ``stop`` is set, with ``every_s`` of real time between, or less with ``alarm``."""

    def poll() -> None:
        try:
            grid_side.poll()
        except ConnectorError as error:
            log.warning("the grid side is not reached, trying again: %s", error)

    wait = None if alarm is None else (lambda pause_s: alarm.wait(stop, pause_s))
    again_and_again(poll, "a poll of the grid side", stop, lambda: every_s, wait)
