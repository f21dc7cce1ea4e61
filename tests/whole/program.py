"""One program of ours on a clock that runs faster: ``python -m ... NAME START FACTOR BEGAN_S``.

Everything is as ``gridtide NAME`` has it but the clock. What waits for the next minute of that
clock waits as much shorter.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from datetime import datetime

from scheduler import site_control, watches
from scheduler.cli import processes
from scheduler.loops import again_and_again
from scheduler.timekeeping import accelerated_now


def main(name: str, start: str, factor: float, began_s: float) -> None:
    """Run it until a signal."""
    now = accelerated_now(datetime.fromisoformat(start), factor, began_s)

    def sooner(
        do: Callable[[], object],
        what: str,
        stop: threading.Event,
        pause_s: Callable[[], float],
    ) -> None:
        again_and_again(do, what, stop, lambda: pause_s() / factor)

    processes.system_now = now
    site_control.LOOK_EVERY_S, site_control.RECORD_EVERY_S = 0.25, 0.5
    watches.again_and_again = sooner
    getattr(processes, name)()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
