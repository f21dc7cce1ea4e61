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
    """Ticks at round hours of the clock in ``zone``; midnights carry the day."""
    length = window.end - window.start
    hours = length / timedelta(hours=1)
    step, major = _step(hours, most), _step(hours, most_major)
    return tuple(
        Tick(
            at_percent=100 * ((instant - window.start) / length),
            label=f"{local:%a %-d}" if local.hour == 0 else f"{local:%H}:00",
            is_major=_is_round(local, major, window),
        )
        for instant, local in _quarters(window, zone)
        if _is_round(local, step, window)
    )


def _quarters(window: PlanWindow, zone: str) -> Iterator[tuple[datetime, datetime]]:
    instant = window.start
    while instant < window.end:
        yield instant, instant.astimezone(ZoneInfo(zone))
        instant += _FINEST_OFFSET


def _step(hours: float, most: int) -> int:
    return next((step for step in _STEPS_HOURS if hours / step <= most), _STEPS_HOURS[-1])


def _is_round(local: datetime, step_hours: int, window: PlanWindow) -> bool:
    if local.minute or local.hour % min(step_hours, 24):
        return False
    if step_hours <= 24:
        return True
    first = window.start.astimezone(local.tzinfo).date()
    return (local.date() - first).days % (step_hours // 24) == 0


def value_ticks(low: float, high: float, about: int = 4) -> tuple[float, ...]:
    """Round values from at most ``low`` to at least ``high``, about ``about`` steps apart."""
    if high - low < 1e-9:
        high = low + 1.0
    raw = (high - low) / about
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw - 1e-12)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(step * position for position in range(first, last + 1))
