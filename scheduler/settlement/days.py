"""Which earlier days an event is compared with, and when on them its hours were.

Days are those of the site's wall clock, and hours are compared by it: an event from two to four is
compared with two to four of other days, whatever the clocks did between. An hour that is skipped on
a day is taken where it would have been by the clock before the change, and of one that is repeated
the first is taken; so every interval has its like on every day, of the same length.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from connectors.types import Window
from scheduler.settlement.rules import BaselineRule, DayChoice

_SATURDAY = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def local_day(instant: datetime, zone: ZoneInfo) -> date:
    """Return the day of the wall clock that ``instant`` lies in."""
    return instant.astimezone(zone).date()


def choice_for(rule: BaselineRule, day: date, holidays: AbstractSet[date]) -> DayChoice:
    """Return how many days an event on ``day`` is compared with."""
    return rule.off_days if _is_off(day, holidays) else rule.workdays


def candidate_days(
    rule: BaselineRule, event_day: date, holidays: AbstractSet[date]
) -> tuple[date, ...]:
    """Return the days of the kind of ``event_day`` that are near enough, the latest first."""
    first_back = 2 if rule.skips_day_before else 1
    backs = range(first_back, rule.look_back_days + 1)
    kind = _kind(rule, event_day, holidays)
    days = (event_day - timedelta(days=back) for back in backs)
    return tuple(day for day in days if _kind(rule, day, holidays) == kind)


def on_day(window: Window, event_day: date, day: date, zone: ZoneInfo) -> Window:
    """Return ``window``, which belongs to an event of ``event_day``, by the clock of ``day``."""
    clock = window.start.astimezone(zone).replace(tzinfo=None, fold=0) - (event_day - day)
    start = clock.replace(tzinfo=zone).astimezone(UTC)
    return Window(start, start + (window.end - window.start))


def cut(window: Window, length: timedelta, at: datetime) -> tuple[Window, ...]:
    """Cut ``window`` at the whole multiples of ``length`` since 1970 (UTC), and at ``at``."""
    edges = [window.start]
    while edges[-1] < window.end:
        following = _EPOCH + ((edges[-1] - _EPOCH) // length + 1) * length
        ends = [end for end in (following, at, window.end) if end > edges[-1]]
        edges.append(min(ends))
    return tuple(Window(*pair) for pair in pairwise(edges))


def _is_off(day: date, holidays: AbstractSet[date]) -> bool:
    return day.weekday() >= _SATURDAY or day in holidays


def _kind(rule: BaselineRule, day: date, holidays: AbstractSet[date]) -> str:
    if not _is_off(day, holidays):
        return "workday"
    is_saturday = day.weekday() == _SATURDAY and day not in holidays
    return "saturday" if rule.saturdays_apart and is_saturday else "day off"
