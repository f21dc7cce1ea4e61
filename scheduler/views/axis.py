"""Where instants and values lie on a drawing, and which of them get a label."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from scheduler.services.window import PlanWindow

_STEPS_HOURS = (1, 2, 3, 6, 12, 24, 48, 96, 168)
# Every offset from UTC in use is a multiple of this.
_FINEST_OFFSET = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis, as a percentage of its length."""

    at_percent: float
    label: str
    is_major: bool  # shown also where there is little room


def time_ticks(
    window: PlanWindow, zone: str, most: int = 13, most_major: int = 5
) -> tuple[Tick, ...]:
    """Ticks at round hours of the clock in ``zone``; where a day begins, the label is the day."""
    length = window.end - window.start
    hours = length / timedelta(hours=1)
    step, major = _step(hours, most), _step(hours, most_major)
    return tuple(
        Tick(
            at_percent=100 * ((quarter.instant - window.start) / length),
            label=f"{quarter.local:%a %-d}" if quarter.begins_day else f"{quarter.local:%H}:00",
            is_major=_is_round(quarter, major, window),
        )
        for quarter in _quarters(window, zone)
        if _is_round(quarter, step, window)
    )


@dataclass(frozen=True, slots=True)
class _Quarter:
    """An instant by the local clock. A day begins once: where midnight is skipped, at 01:00."""

    instant: datetime
    local: datetime
    begins_day: bool


def _quarters(window: PlanWindow, zone: str) -> Iterator[_Quarter]:
    instant = window.start
    while instant < window.end:
        local = instant.astimezone(ZoneInfo(zone))
        before = (instant - _FINEST_OFFSET).astimezone(ZoneInfo(zone))
        yield _Quarter(instant, local, local.date() != before.date())
        instant += _FINEST_OFFSET


def _step(hours: float, most: int) -> int:
    return next((step for step in _STEPS_HOURS if hours / step <= most), _STEPS_HOURS[-1])


def _is_round(quarter: _Quarter, step_hours: int, window: PlanWindow) -> bool:
    local = quarter.local
    if step_hours < 24:
        return quarter.begins_day or not (local.minute or local.hour % step_hours)
    first = window.start.astimezone(local.tzinfo).date()
    return quarter.begins_day and (local.date() - first).days % (step_hours // 24) == 0


def value_ticks(low: float, high: float, about: int = 4) -> tuple[float, ...]:
    """Round values from at most ``low`` to at least ``high``, about ``about`` steps apart."""
    if high - low < 1e-9:
        high = low + 1.0
    raw = (high - low) / about
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw - 1e-12)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(step * position for position in range(first, last + 1))
