"""What goes on until it is told to stop, whatever happens to the database meanwhile."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from scheduler.db.outage import DATABASE_AWAY

log = logging.getLogger(__name__)


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
