"""Instants and durations as OpenADR 3 writes them, read leniently and bounded.

A start of zero (``0001-01-01``, or ``0000-00-00`` as 3.0 wrote it, with or without time and
zone) means now, and is ``ZERO`` here. ``P9999Y`` is for ever: every end is held to ``LAST``.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

ZERO = datetime.min.replace(tzinfo=UTC)
FIRST = datetime(1970, 1, 1, tzinfo=UTC)
LAST = datetime(2200, 1, 1, tzinfo=UTC)

_MOST_TEXT = 64
_ZEROS = ("0001-01-01", "0000-")
_DURATION = re.compile(
    r"(?P<sign>-?)P(?=\d|T\d)(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?"
    r"(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
_LONGEST = LAST - FIRST


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time, never negative; months are counted by the calendar."""

    months: int = 0
    rest: timedelta = timedelta()

    @property
    def is_zero(self) -> bool:
        """Whether it lasts no time at all."""
        return self.months == 0 and not self.rest

    def after(self, instant: datetime) -> datetime:
        """Return when it is over where it begins at ``instant``; ``LAST`` at most."""
        month = instant.year * 12 + instant.month - 1 + self.months
        if month >= LAST.year * 12:
            return LAST
        year, index = divmod(month, 12)
        day = min(instant.day, monthrange(year, index + 1)[1])
        moved = instant.replace(year=year, month=index + 1, day=day)
        return LAST if self.rest >= LAST - moved else moved + self.rest


@lru_cache(maxsize=1000)
def read_duration(text: str) -> Duration:
    """Return the duration ``text`` writes.

    Raises
    ------
    ValueError
        It writes none, or a negative one.
    """
    found = _DURATION.fullmatch(text) if len(text) <= _MOST_TEXT else None
    if found is None:
        raise ValueError(f"duration {text[:_MOST_TEXT]!r}: must be as PT1H30M")
    if found["sign"]:
        raise ValueError(f"duration {text!r}: must not be negative")
    days = _number(found, "weeks") * 7 + _number(found, "days")
    seconds = _number(found, "hours") * 3600 + _number(found, "minutes") * 60
    seconds += _number(found, "seconds") + days * 86400
    months = _number(found, "years") * 12 + _number(found, "months")
    longest_s = _LONGEST.total_seconds()
    return Duration(int(min(months, LAST.year * 12)), timedelta(seconds=min(seconds, longest_s)))


def read_instant(text: str) -> datetime:
    """Return the instant ``text`` writes in UTC, ``ZERO`` where it means now; no zone: UTC.

    Raises
    ------
    ValueError
        It writes none, or one that no event is in.
    """
    if len(text) > _MOST_TEXT:
        raise ValueError(f"instant {text[:_MOST_TEXT]!r}...: longer than {_MOST_TEXT} characters")
    if text.startswith(_ZEROS):
        return ZERO
    try:
        instant = datetime.fromisoformat(text)
        aware = instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
        there = aware.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"instant {text!r}: {error}") from error
    if not FIRST <= there < LAST:
        raise ValueError(f"instant {text!r}: must be from {FIRST.year} to before {LAST.year}")
    return there


def written_duration(length: timedelta) -> str:
    """Return a duration as it is written."""
    seconds = length.total_seconds()
    return f"PT{seconds:.0f}S" if seconds == int(seconds) else f"PT{seconds:f}S"


def _number(found: re.Match[str], part: str) -> float:
    return float(found[part] or 0)
