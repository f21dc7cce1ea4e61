"""The grid side's loop: one poll after the other, whatever happens to either side meanwhile."""

from __future__ import annotations

import logging
import threading

from connectors.errors import ConnectorError
from scheduler.db.outage import DATABASE_AWAY
from scheduler.services.grid_side import GridSide

log = logging.getLogger(__name__)


def run_grid_side(grid_side: GridSide, stop: threading.Event, every_s: float) -> None:
    """Poll until ``stop`` is set, with ``every_s`` of real time between."""
    while not stop.is_set():
        try:
            grid_side.poll()
        except DATABASE_AWAY as error:
            log.warning("database unavailable, trying again: %s", error.orig)
        except ConnectorError as error:
            log.warning("the grid side is not reached, trying again: %s", error)
        except Exception:  # one bad poll must not be the last
            log.exception("a poll of the grid side failed")
        stop.wait(every_s)
