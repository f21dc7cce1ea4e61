"""The grid side's loop: one poll after the other, whatever happens to either side meanwhile."""

from __future__ import annotations

import logging
import threading

from connectors.errors import ConnectorError
from scheduler.loops import again_and_again
from scheduler.services.grid_side import GridSide

log = logging.getLogger(__name__)


def run_grid_side(grid_side: GridSide, stop: threading.Event, every_s: float) -> None:
    """Poll until ``stop`` is set, with ``every_s`` of real time between."""

    def poll() -> None:
        try:
            grid_side.poll()
        except ConnectorError as error:
            log.warning("the grid side is not reached, trying again: %s", error)

    again_and_again(poll, "a poll of the grid side", stop, lambda: every_s)
