"""Which period of a tariff a local hour is in: by month, weekday or weekend, and hour."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable

from scheduler.specs.tariff import TariffSpec
from scheduler.specs.urdb_parts import Schedule
from scheduler.tariffs.local_time import LocalHour

PeriodOf = Callable[[LocalHour], int]

_FIRST_WEEKEND_DAY = 5  # Saturday; holidays are weekends too


def by_schedule(spec: TariffSpec, weekdays: Schedule, weekends: Schedule) -> PeriodOf:
    """Return the index of the period that a local hour is in."""
    holidays = frozenset(spec.holidays)

    def period(hour: LocalHour) -> int:
        is_weekend = hour.day.weekday() >= _FIRST_WEEKEND_DAY or hour.day in holidays
        schedule = weekends if is_weekend else weekdays
        return schedule[hour.day.month - 1][hour.hour]

    return period


def month_number(month: str) -> int:
    """Return 3 for ``"2026-03"``, or for a day of it."""
    return int(month[5:7])


def days_in(month: str) -> int:
    """Return how many days ``month`` has, e.g. ``"2026-03"``."""
    return monthrange(int(month[:4]), month_number(month))[1]


def months_before(month: str, count: int) -> tuple[str, ...]:
    """Return the ``count`` months before ``month``, the latest first."""
    last = int(month[:4]) * 12 + month_number(month) - 1
    return tuple(f"{k // 12:04d}-{k % 12 + 1:02d}" for k in range(last - 1, last - 1 - count, -1))
