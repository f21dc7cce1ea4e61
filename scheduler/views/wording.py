"""How instants and quantities are written for people: site-local time with its zone, and units."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

KIND_WORDS = {
    "shortfall": "load without a source",
    "capacity_limit": "import above the agreed limit",
    "demand_response": "import above what an event asks",
    "rebound": "import too high after an event",
    "reserve_up": "reserve sold and not held",
    "reserve_down": "reserve sold and not held",
    "soc_floor": "battery below its reserve",
    "soc_final": "battery below its level at the end",
    "carbon_budget": "carbon above the budget",
    "cost_ceiling": "cost above the ceiling",
}
"""What each kind of violation means, in words."""

RUNG_WORDS = {
    "exact": "solved to the agreed gap",
    "best_found": "best plan found within the time limit",
    "greedy": "greedy plan: the solver gave none",
    "last_plan": "the last plan in force, kept",
    "latest_safe_start": "every job at its latest safe start",
    "baseline": "a baseline, not optimised",
}
"""How a plan was found, in words."""


@dataclass(frozen=True, slots=True)
class When:
    """An instant or a span as a person reads it: at the site, and in UTC."""

    local: str
    utc: str
    iso: str


def when(instant: datetime, zone: str) -> When:
    """Write ``instant`` as weekday, day and time, in ``zone`` and in UTC."""
    at_site = instant.astimezone(ZoneInfo(zone))
    in_utc = instant.astimezone(UTC)
    return When(
        f"{at_site:%a %-d %b %H:%M %Z}",
        f"{in_utc:%a %-d %b %H:%M} UTC",
        f"{in_utc:%Y-%m-%dT%H:%MZ}",
    )


def span(start: datetime, end: datetime, zone: str) -> When:
    """Write a span of time, naming the day once where it begins and ends on the same."""
    begin, finish = when(start, zone), when(end, zone)
    at_site = start.astimezone(ZoneInfo(zone)), end.astimezone(ZoneInfo(zone))
    return When(
        local=_span_words(*at_site, f"{at_site[1]:%Z}", finish.local),
        utc=_span_words(start.astimezone(UTC), end.astimezone(UTC), "UTC", finish.utc),
        iso=f"{begin.iso}/{finish.iso}",
    )


def _span_words(start: datetime, end: datetime, zone_name: str, end_in_full: str) -> str:
    if start.date() == end.date() and start.utcoffset() == end.utcoffset():
        return f"{start:%a %-d %b %H:%M} to {end:%H:%M} {zone_name}"
    return f"{start:%a %-d %b %H:%M} to {end_in_full}"


def number(value: float, digits: int = 0) -> str:
    """Write with a thin separator between thousands and a true minus sign; never "-0"."""
    rounded = round(value, digits)
    text = f"{abs(rounded):,.{digits}f}".replace(",", "\u202f")
    return f"\u2212{text}" if rounded < 0 else text


def signed(value: float, digits: int = 0) -> str:
    """Write a difference, with its sign."""
    text = number(value, digits)
    return f"+{text}" if round(value, digits) > 0 else text


def digits_for(value: float) -> int:
    """Decimals worth showing: none from a hundred on, two below ten."""
    size = abs(value)
    return 0 if size >= 100 else 1 if size >= 10 else 2


def percent(part: float, whole: float) -> str:
    """Write ``part`` as a signed percentage of ``whole``; a dash where there is no whole."""
    return "\u2013" if abs(whole) < 1e-9 else f"{signed(100 * part / abs(whole), 1)}\u00a0%"


def hours(value: float) -> str:
    """Write a length of time: ``3 h 30 min``."""
    minutes = round(value * 60)
    whole, rest = divmod(abs(minutes), 60)
    sign = "\u2212" if minutes < 0 else ""
    if not whole:
        return f"{sign}{rest} min"
    return f"{sign}{whole} h {rest} min" if rest else f"{sign}{whole} h"


def plural(count: int, noun: str) -> str:
    """Write a count with its noun: ``1 job``, ``2 jobs``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
