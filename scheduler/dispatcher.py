"""The dispatcher's loop: one tick after the other."""

from __future__ import annotations

import threading

from scheduler.db.session import SessionFactory
from scheduler.loops import again_and_again
from scheduler.services.dispatch import Dispatcher
from scheduler.services.outside import OutsideOf
from scheduler.timekeeping import Now


def run_dispatcher(
    sessions: SessionFactory,
    outside_of: OutsideOf,
    now: Now,
    stop: threading.Event,
    every_s: float,
) -> None:
    """Carry out the plan in force until ``stop`` is set, with ``every_s`` of real time between."""
    dispatcher = Dispatcher(sessions, outside_of, now)
    again_and_again(dispatcher.tick, "a tick", stop, lambda: every_s)
