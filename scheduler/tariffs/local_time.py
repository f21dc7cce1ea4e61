"""Which local hours an interval lies in: the hour of the wall clock is what tariffs are written in.

A local day has 23, 24 or 25 hours. An hour that is repeated occurs twice, at two instants; one that
is skipped never does.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo

_STEP = timedelta(minutes=5)
"""Zones differ from UTC by whole multiples of this, so no step lies in two local hours."""


class LocalHour(NamedTuple):
    """An hour of the wall clock."""

    day: date
    hour: int

    @property
    def month(self) -> str:
        """Its calendar month, e.g. ``"2026-03"``."""
        return f"{self.day:%Y-%m}"


LocalHours = Mapping[LocalHour, float]
"""Shares of an interval by the local hour they lie in; they add up to 1."""


@lru_cache(maxsize=64)  # sites of one zone, and each for its energy and its peaks
def local_hours(
    start: datetime, minutes: int, n_intervals: int, time_zone: str
) -> tuple[LocalHours, ...]:
    """Return for each of ``n_intervals`` of ``minutes`` from ``start`` on where it lies.

    ``minutes`` is a multiple of 5, and ``start`` a whole multiple of 5 minutes.
    """
    zone = ZoneInfo(time_zone)
    n_steps = timedelta(minutes=minutes) // _STEP
    return tuple(_hours_of(start + k * n_steps * _STEP, n_steps, zone) for k in range(n_intervals))


def local_hour(instant: datetime, zone: ZoneInfo) -> LocalHour:
    """Return the local hour that ``instant`` lies in."""
    local = instant.astimezone(zone)
    return LocalHour(local.date(), local.hour)


def _hours_of(start: datetime, n_steps: int, zone: ZoneInfo) -> LocalHours:
    steps: dict[LocalHour, int] = {}
    for step in range(n_steps):
        hour = local_hour(start + step * _STEP, zone)
        steps[hour] = steps.get(hour, 0) + 1
    return MappingProxyType({hour: count / n_steps for hour, count in steps.items()})
