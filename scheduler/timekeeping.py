"""Where "now" comes from. Everything that needs it is handed a ``Now``; nobody reads the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Now = Callable[[], datetime]
"""Returns the present instant, aware and in UTC."""


def system_now() -> datetime:
    """Return the present instant of this machine."""
    return datetime.now(UTC)


def seconds_to_next_minute(now: datetime) -> float:
    """Return how long it is from ``now`` to the next full minute [s]."""
    minute = timedelta(minutes=1)
    return (now.replace(second=0, microsecond=0) + minute - now) / timedelta(seconds=1)


def accelerated_now(start: datetime, factor: float, began_s: float | None = None) -> Now:
    """Return a clock that shows ``start`` now and runs ``factor`` times as fast as real time.

    It follows the monotonic clock, so a correction of the machine's time does not move it. The
    processes of a machine share a clock by ``began_s``, what the monotonic one showed at ``start``.
    """
    if start.utcoffset() is None:
        raise ValueError(f"start {start.isoformat()} has no time zone")
    if factor <= 0:
        raise ValueError(f"factor = {factor:g}, must be > 0")
    began = time.monotonic() if began_s is None else began_s

    def now() -> datetime:
        return start.astimezone(UTC) + timedelta(seconds=(time.monotonic() - began) * factor)

    return now
