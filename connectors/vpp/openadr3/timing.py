"""When the intervals of an event hold. Pure: what is now, and what was drawn, the caller says.

The rules, numbered as they are cited below:

1. An interval overrides its event's period field by field.
2. An interval without a start begins where the one before ends, the first one with the event.
3. A start of zero means when the event was said, for the first; else as if there were none.
4. What lasts for ever is held to ``instants.LAST`` before any arithmetic.
5. Several values of one type share their interval equally (``split``).
6. The event's own duration cuts the list of intervals, or repeats it.
7. A random start moves an interval and all that follow it without a gap by the same draw.
8. A start of zero that lasts no time is an event called off.

An interval that no duration is said of lasts until the next one begins. Where intervals overlap by
mistake the later one cuts the earlier one: what comes out never overlaps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from connectors.vpp.openadr3.instants import FIRST, LAST, ZERO, Duration

FOR_EVER = Duration(rest=LAST - FIRST)
MOST_SPANS = 4000


@dataclass(frozen=True, slots=True)
class Period:
    """When something starts and how long it lasts, as far as is said; ``start`` may be ``ZERO``."""

    start: datetime | None = None
    duration: Duration | None = None
    random_start: Duration | None = None  # moved by up to this either way


@dataclass(frozen=True, slots=True)
class EventTiming:
    """What an event says about time.

    Attributes
    ----------
    said_at
        When it was said: what a start of zero means.
    period
        Of the event: what its intervals go by where they say nothing.
    intervals
        The period of each; of none, the event's own is the only one.
    duration
        Of the whole event, where it says so.
    zero_lasts
        Whether what lasts ``PT0S`` lasts for ever, as limits of 3.0.1 do.
    """

    said_at: datetime
    period: Period = Period()
    intervals: tuple[Period, ...] = ()
    duration: Duration | None = None
    zero_lasts: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """One time that one interval holds, by its place in the list: half-open [start, end)."""

    interval: int
    start: datetime
    end: datetime


def spans(timing: EventTiming, since: datetime, until: datetime, draw: float = 0.0) -> list[Span]:
    """Return when each interval holds between ``since`` and ``until``, in order of time.

    Those that began before ``since`` are whole; none reaches beyond ``until``.

    Parameters
    ----------
    draw
        What was drawn for the random start, -1 to 1 [share of its range]; once for each event and
        change of it, or it would wander.

    Raises
    ------
    ValueError
        There are more than ``MOST_SPANS``.
    """
    if _is_called_off(timing.period):
        return []  # rule 8
    once = _disjoint(_placed(timing, draw))
    found = []
    for span in _repeated(once, timing, since, until):
        end = min(span.end, until)
        if end > since and span.start < end:
            found.append(replace(span, end=end))
        if len(found) > MOST_SPANS:
            raise ValueError(f"holds in more than {MOST_SPANS} spans of time")
    return found


def split(start: datetime, end: datetime, parts: int) -> list[tuple[datetime, datetime]]:
    """Cut [start, end) into equal parts that cover it exactly (rule 5)."""
    length = (end - start) // timedelta(microseconds=1)
    cuts = [start + timedelta(microseconds=length * part // parts) for part in range(parts)]
    return list(zip(cuts, [*cuts[1:], end], strict=True))


def _is_called_off(period: Period) -> bool:
    is_zero = period.duration is not None and period.duration.is_zero
    return period.start == ZERO and is_zero


def _placed(timing: EventTiming, draw: float) -> Iterator[Span]:
    """Place every interval once, by rules 1, 2, 3, 4 and 7; those of no length are left out."""
    event = timing.period
    nominal = timing.said_at if event.start is None or event.start == ZERO else event.start
    moved = timedelta()
    for index, own in enumerate(timing.intervals or (Period(),)):
        begins_anew = own.start is not None and own.start not in {ZERO, nominal}
        if own.start is not None and begins_anew:
            nominal = own.start
        if index == 0 or begins_anew or own.random_start is not None:
            moved = _moved(own.random_start or event.random_start, draw)
        lasts = own.duration or event.duration
        if lasts is None or (lasts.is_zero and timing.zero_lasts):
            lasts = FOR_EVER
        end = lasts.after(nominal)
        if end > nominal:
            yield Span(index, _held(nominal + moved), _held(end + moved))
        nominal = end


def _held(instant: datetime) -> datetime:
    return min(LAST, instant)


def _moved(random_start: Duration | None, draw: float) -> timedelta:
    if random_start is None:
        return timedelta()
    length = min(random_start.after(FIRST) - FIRST, timedelta(days=1))
    return timedelta(seconds=round(draw * length.total_seconds()))


def _disjoint(placed: Iterator[Span]) -> list[Span]:
    """Return spans in order of time, each cut where the next one begins."""
    ordered = sorted(placed, key=lambda span: (span.start, span.interval))
    following = [*(span.start for span in ordered), LAST][1:]
    cut = [
        replace(span, end=min(span.end, after))
        for span, after in zip(ordered, following, strict=True)
    ]
    return [span for span in cut if span.end > span.start]


def _repeated(
    once: Sequence[Span], timing: EventTiming, since: datetime, until: datetime
) -> Iterator[Span]:
    """Repeat or cut the list by the event's duration (rule 6), from the round ``since`` is in."""
    if timing.duration is None or timing.duration.is_zero or not once:
        yield from once
        return
    first, last = once[0].start, once[-1].end
    over = timing.duration.after(first)
    length = last - first
    done = max(0, (since - first) // length)
    offset = length * done
    while first + offset < min(over, until):
        for span in once:
            start, end = span.start + offset, min(_later(span.end, offset), over)
            if end > start:
                yield Span(span.interval, start, end)
        if length >= LAST - first - offset:
            return
        offset += length


def _later(instant: datetime, by: timedelta) -> datetime:
    return LAST if by >= LAST - instant else instant + by
