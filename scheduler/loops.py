"""What goes on until it is told to stop, whatever happens to the database meanwhile."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from scheduler.db.outage import DATABASE_AWAY

log = logging.getLogger(__name__)

_STOP_WITHIN_S = 0.2


def again_and_again(
    do: Callable[[], object],
    what: str,
    stop: threading.Event,
    pause_s: Callable[[], float],
    wait: Callable[[float], object] | None = None,
) -> None:
    """Do something until ``stop`` is set, with a pause [s of real time] after each time.

    ``wait`` waits out a pause, or ends it early; by itself it ends with ``stop`` alone.

    An error is logged as one of ``what``: one bad time must not be the last.
    """
    while not stop.is_set():
        try:
            do()
        except DATABASE_AWAY as error:
            log.warning("database unavailable, trying again: %s", error.orig)
        except Exception:
            log.exception("%s failed", what)
        (wait or stop.wait)(pause_s())


async def side_by_side(
    doings: Iterable[Coroutine[Any, Any, object]], stop: threading.Event
) -> None:
    """Do all of them until ``stop`` is set; they are told to end, and have ended on return."""
    tasks = [asyncio.create_task(one) for one in doings]
    try:
        while not stop.is_set():
            await asyncio.sleep(_STOP_WITHIN_S)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
