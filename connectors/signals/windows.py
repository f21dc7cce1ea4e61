"""Windows as sources want them: in whole local days, and no longer than they answer at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from connectors.types import Window


def parts(window: Window, longest: timedelta) -> tuple[Window, ...]:
    """Cut ``window`` into as few parts of at most ``longest`` as there can be."""
    starts = []
    at = window.start
    while at < window.end:
        starts.append(at)
        at += longest
    return tuple(
        Window(start, end) for start, end in zip(starts, [*starts[1:], window.end], strict=True)
    )


def local_days(window: Window, time_zone: str) -> Window:
    """Return the whole days of a zone, of 23 to 25 hours, that ``window`` touches, in UTC."""
    zone = ZoneInfo(time_zone)
    first = window.start.astimezone(zone).date()
    # The instant at the end is not in the window: at midnight it touches no further day.
    after = (window.end - timedelta(microseconds=1)).astimezone(zone).date() + timedelta(days=1)
    start, end = (datetime(day.year, day.month, day.day, tzinfo=zone) for day in (first, after))
    return Window(start.astimezone(UTC), end.astimezone(UTC))
