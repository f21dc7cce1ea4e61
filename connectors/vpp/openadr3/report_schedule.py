"""When reports are due, and of which intervals: what report descriptors say about it. Pure.

Intervals are counted from 0 in order of time, and an instant is named by the interval that begins
there; -1 is the end of the last one. The rules, numbered as they are cited below:

1. The first report is due where ``startInterval`` begins. It is of the ``numIntervals`` before that
   where it is ``historical``, else of those from there on; -1 is all there are.
2. The next one is due ``frequency`` intervals later, -1 as many as ``numIntervals``; 0 has no next
   one. There are ``repeat`` in all, -1 as many as find a place.
3. A forecast that is to be made at the end would be of nothing: it is of all, and due at once.
4. An event without intervals has one, as long as it says. Where more are asked for, such follow
   each other until its own duration is over, or for ever; then -1 is 1.
5. A report of nothing is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.vpp.openadr3.instants import LAST, Duration
from connectors.vpp.openadr3.timing import Span

ALL = -1
MOST_TOLD = 2000
"""Intervals in one report."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When reports are asked for, as a descriptor says; the defaults are those of the API."""

    start_interval: int = ALL
    num_intervals: int = ALL
    historical: bool = True
    frequency: int = ALL
    repeat: int = 1

    @property
    def asks_for_more(self) -> bool:
        """Whether one interval does not do (rule 4)."""
        return self.repeat != 1 or self.start_interval > 1 or self.num_intervals > 1


@dataclass(frozen=True, slots=True)
class Listed:
    """Intervals that an event lists, in order of time."""

    spans: Sequence[Span]

    @property
    def count(self) -> int | None:
        """How many."""
        return len(self.spans)

    def begins(self, place: int) -> datetime:
        """When one begins; the one after the last begins where that ends."""
        return self.spans[place].start if place < len(self.spans) else self.spans[-1].end

    def first_at(self, at: datetime) -> int:
        """Return the first that begins at ``at`` or later."""
        return next((k for k, span in enumerate(self.spans) if span.start >= at), len(self.spans))

    def told(self, first: int, end: int) -> tuple[Span, ...]:
        """Return those from ``first`` to before ``end``."""
        return tuple(self.spans[first:end])


@dataclass(frozen=True, slots=True)
class Implied:
    """Intervals of one length that follow each other; ``count`` is ``None`` where for ever."""

    start: datetime
    length: timedelta
    count: int | None

    @classmethod
    def of(cls, span: Span, duration: Duration | None) -> Implied:
        """Repeat ``span`` for as long as ``duration`` says (rule 4)."""
        length = span.end - span.start
        if duration is None or duration.is_zero or duration.after(span.start) >= LAST:
            return cls(span.start, length, None)
        return cls(span.start, length, max(1, (duration.after(span.start) - span.start) // length))

    def begins(self, place: int) -> datetime:
        """When one begins."""
        if place * self.length.total_seconds() >= (LAST - self.start).total_seconds():
            return LAST
        return self.start + place * self.length

    def first_at(self, at: datetime) -> int:
        """Return the first that begins at ``at`` or later."""
        return max(0, -((self.start - at) // self.length))

    def told(self, first: int, end: int) -> tuple[Span, ...]:
        """Return those from ``first`` to before ``end``."""
        return tuple(Span(k, self.begins(k), self.begins(k + 1)) for k in range(first, end))


@dataclass(frozen=True, slots=True)
class Due:
    """One report: when, and of which intervals."""

    at: datetime
    spans: tuple[Span, ...]


def due_between(
    schedule: Schedule,
    intervals: Listed | Implied,
    since: datetime,
    until: datetime,
    heard_at: datetime,
) -> Iterator[Due]:
    """Yield every report that falls due in (``since``, ``until``], in order of time.

    Parameters
    ----------
    heard_at
        When the event was said: what is due at once (rule 3) is due then.

    Raises
    ------
    ValueError
        The schedule makes no sense, or a report is of more than ``MOST_TOLD`` intervals.
    """
    _require_sense(schedule)
    count = intervals.count
    if count == 0:
        return
    if not schedule.historical and schedule.start_interval == ALL:
        told = _told(schedule, intervals, 0)
        if since < heard_at <= until:
            yield Due(heard_at, told)
        return
    for place in _places(schedule, intervals, since):
        if intervals.begins(place) > until:
            return
        told = _told(schedule, intervals, place)
        if told and intervals.begins(place) > since:  # rule 5
            yield Due(intervals.begins(place), told)


def _places(schedule: Schedule, intervals: Listed | Implied, since: datetime) -> Iterator[int]:
    """Yield where reports are due (rules 1 and 2), passing over most that were before ``since``."""
    count = intervals.count
    last = 1 if count is None else count
    first = last if schedule.start_interval == ALL else schedule.start_interval
    step = _step(schedule, count)
    every = step if schedule.frequency == ALL else schedule.frequency
    if every == 0 or schedule.repeat == 1:
        yield from (first,) if count is None or first <= count else ()
        return
    done = max(0, (intervals.first_at(since) - first) // every)
    while schedule.repeat == ALL or done < schedule.repeat:
        place = first + done * every
        if count is not None and place > count:
            return
        yield place
        done += 1


def _step(schedule: Schedule, count: int | None) -> int:
    """Return how many intervals a report is of."""
    if schedule.num_intervals != ALL:
        return schedule.num_intervals
    return 1 if count is None else count


def _told(schedule: Schedule, intervals: Listed | Implied, place: int) -> tuple[Span, ...]:
    """Return the intervals that a report due at ``place`` is of (rule 1)."""
    step, count = _step(schedule, intervals.count), intervals.count
    first, end = (max(0, place - step), place) if schedule.historical else (place, place + step)
    if count is not None:
        end = min(end, count)
    if end - first > MOST_TOLD:
        raise ValueError(f"a report of {end - first} intervals, must be of at most {MOST_TOLD}")
    return intervals.told(first, end)


def _require_sense(schedule: Schedule) -> None:
    for name, value, least in (
        ("startInterval", schedule.start_interval, ALL),
        ("numIntervals", schedule.num_intervals, ALL),
        ("frequency", schedule.frequency, ALL),
        ("repeat", schedule.repeat, ALL),
    ):
        if value < least:
            raise ValueError(f"{name} = {value}, must be at least {least}")
    for name, value in (("numIntervals", schedule.num_intervals), ("repeat", schedule.repeat)):
        if value == 0:
            raise ValueError(f"{name} = 0, must be -1 or at least 1")
