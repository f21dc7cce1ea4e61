"""The dispatcher's loop: one tick after the other, whatever happens to the database meanwhile."""

from __future__ import annotations

import logging
import threading

from scheduler.db.outage import DATABASE_AWAY
from scheduler.db.session import SessionFactory
from scheduler.services.dispatch import Dispatcher
from scheduler.services.outside import OutsideOf
from scheduler.timekeeping import Now

log = logging.getLogger(__name__)


def run_dispatcher(
    sessions: SessionFactory,
    outside_of: OutsideOf,
    now: Now,
    stop: threading.Event,
    every_s: float,
) -> None:
    """Carry out the plan in force until ``stop`` is set, with ``every_s`` of real time between."""
    dispatcher = Dispatcher(sessions, outside_of, now)
    while not stop.is_set():
        try:
            dispatcher.tick()
        except DATABASE_AWAY as error:
            log.warning("database unavailable, trying again: %s", error.orig)
        except Exception:  # one bad tick must not be the last
            log.exception("a tick failed")
        stop.wait(every_s)
