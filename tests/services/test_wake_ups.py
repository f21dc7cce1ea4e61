"""News of the other side makes the next poll come sooner, and can do nothing else."""

from __future__ import annotations

import threading
import time

from scheduler.db.session import SessionFactory, transaction
from scheduler.grid_side import Alarm
from scheduler.services.wake_ups import GRID_SIDE, ask_to_look, times_asked

LONG_S = 60.0


def ask(sessions: SessionFactory) -> None:
    """Ask as the API does."""
    with transaction(sessions) as session:
        ask_to_look(session, GRID_SIDE)


def waited_s(alarm: Alarm, pause_s: float = LONG_S) -> float:
    """How long it waited [s]."""
    begun = time.monotonic()
    alarm.wait(threading.Event(), pause_s)
    return time.monotonic() - begun


def test_every_time_is_counted(sessions: SessionFactory) -> None:
    """Also when two ask for the first time at once."""
    threads = [threading.Thread(target=ask, args=(sessions,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with transaction(sessions) as session:
        assert times_asked(session, GRID_SIDE) == 4


def test_another_process_ends_the_pause_over_the_database(sessions: SessionFactory) -> None:
    """Once for each time, whether it asked before or during the pause."""
    alarm = Alarm(sessions, soonest_s=0.01, look_every_s=0.02)
    ask(sessions)
    assert waited_s(alarm) < LONG_S / 2
    asking = threading.Timer(0.2, ask, [sessions])
    asking.start()
    assert waited_s(alarm) < LONG_S / 2
    asking.join()
    assert waited_s(alarm, pause_s=0.3) >= 0.3


def test_a_ring_ends_the_pause_but_never_before_the_soonest(sessions: SessionFactory) -> None:
    """A flood of them makes no flood of polls; one during a poll is not lost."""
    alarm = Alarm(sessions, soonest_s=0.2, look_every_s=0.02)
    for _ in range(1000):
        alarm.ring()
    assert 0.2 <= waited_s(alarm) < LONG_S / 2
    alarm.ring()
    assert waited_s(alarm) < LONG_S / 2
    assert waited_s(alarm, pause_s=0.4) >= 0.4


def test_stop_ends_it_at_once(sessions: SessionFactory) -> None:
    """However long the pause was to be."""
    stop = threading.Event()
    stop.set()
    begun = time.monotonic()
    Alarm(sessions).wait(stop, LONG_S)
    assert time.monotonic() - begun < LONG_S / 2
