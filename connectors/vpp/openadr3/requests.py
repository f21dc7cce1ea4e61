"""Which reports an event asks for by now, and what each is made of. Pure.

What is asked for at the same instants and of the same intervals goes into one report. Its name
follows from the event, the instant and what is asked: the same in every process, for good.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from connectors.types import Measure, ReportRequest, Window
from connectors.vpp.openadr3.instants import FIRST, LAST
from connectors.vpp.openadr3.report_schedule import Due, Implied, Listed, Schedule, due_between
from connectors.vpp.openadr3.reports import Told, told_as
from connectors.vpp.openadr3.timing import EventTiming, Span, spans
from connectors.vpp.openadr3.wire import Target, WireEvent, WireReport

LATEST = timedelta(days=1)
"""So long after a report was due it is still sent."""

MOST_VALUES = 2000
"""Intervals in one report, times sites."""

_QUALITY = "DATA_QUALITY"  # is told of every interval, whether it is asked for or not


@dataclass(frozen=True, slots=True)
class Asked:
    """A report that is due, and how it is written."""

    request: ReportRequest
    told: tuple[Told, ...]
    numbered: tuple[tuple[int, Span], ...]  # the event's own number of each interval
    is_aggregate: bool


@dataclass(frozen=True, slots=True)
class _Group:
    """What is asked for at the same instants, of the same intervals and resources.

    ``turn`` tells two readings of one type apart: a report has each type once.
    """

    schedule: Schedule
    is_aggregate: bool
    by_slot: bool
    targets: tuple[Target, ...]
    turn: int = 0


def reports_asked(
    event: WireEvent,
    sites_of: Callable[[tuple[Target, ...]], Sequence[str]],
    timing: EventTiming,
    draw: float,
    now: datetime,
) -> Iterator[Asked]:
    """Yield what ``event`` asks for by ``now``, as far as it is not too late.

    Parameters
    ----------
    sites_of
        Those of the event's sites that targets of a descriptor name; no targets: all of them.

    Raises
    ------
    ValueError
        A schedule makes no sense, or asks for more than anybody tells.
    """
    for group, of_group in _groups(event).items():
        sites = sites_of(group.targets)
        if not sites:
            continue
        intervals = _intervals(event, timing, group.schedule, draw)
        for due in due_between(group.schedule, intervals, now - LATEST, now, timing.said_at):
            yield _asked(event, group, of_group, tuple(sites), due)


def end_of(timing: EventTiming, draw: float) -> datetime:
    """Return when the last interval of an event is over."""
    held = spans(timing, FIRST, LAST, draw)
    return held[-1].end if held else FIRST


def _groups(event: WireEvent) -> dict[_Group, list[WireReport]]:
    groups: dict[_Group, list[WireReport]] = {}
    for each in event.reports:
        if each.payload_type == _QUALITY:
            continue
        group = _group(each)
        while any(each.payload_type == other.payload_type for other in groups.get(group, ())):
            group = replace(group, turn=group.turn + 1)
        groups.setdefault(group, []).append(each)
    return groups


def _group(asked: WireReport) -> _Group:
    schedule = Schedule(
        asked.start_interval,
        asked.num_intervals,
        asked.historical,
        asked.frequency,
        asked.repeat,
    )
    by_slot = (asked.report_intervals or "INTERVALS") != "INTERVALS"
    return _Group(schedule, asked.aggregate, by_slot, asked.targets)


def _intervals(
    event: WireEvent, timing: EventTiming, schedule: Schedule, draw: float
) -> Listed | Implied:
    if event.intervals or not schedule.asks_for_more:
        return Listed(spans(timing, FIRST, LAST, draw))
    once = spans(
        EventTiming(timing.said_at, timing.period, (), None, timing.zero_lasts), FIRST, LAST, draw
    )
    return Implied.of(once[0], timing.duration) if once else Listed(())


def _asked(
    event: WireEvent,
    group: _Group,
    descriptors: Sequence[WireReport],
    sites: tuple[str, ...],
    due: Due,
) -> Asked:
    if len(due.spans) * len(sites) > MOST_VALUES:
        told = f"{len(due.spans)} intervals of {len(sites)} sites in one report"
        raise ValueError(f"{told}, must be at most {MOST_VALUES} together")
    known: dict[str, Told] = {}
    refused: dict[str, str] = {}
    for each in descriptors:
        try:
            known[each.payload_type] = told_as(each)
        except ValueError as error:
            refused[each.payload_type] = str(error)
    request = ReportRequest(
        name=_name(event, group, descriptors, due.at),
        event_id=event.id,
        sites=sites,
        due_at=due.at,
        intervals=tuple(Window(span.start, span.end) for span in due.spans),
        measures=frozenset(each.kind.measure for each in known.values()) | _with_state(known),
        asked=tuple(known),
        refused=tuple(refused.items()),
        by_slot=group.by_slot,
    )
    numbers = [
        event.intervals[span.interval].id if event.intervals else span.interval
        for span in due.spans
    ]
    numbered = tuple(zip(numbers, due.spans, strict=True))
    return Asked(request, tuple(known.values()), numbered, group.is_aggregate)


def _with_state(known: Mapping[str, Told]) -> frozenset[Measure]:
    """Return what else is needed: whether a site keeps to a level is seen by what it draws."""
    is_asked = any(each.kind.measure is Measure.STATE for each in known.values())
    return frozenset((Measure.POWER,)) if is_asked else frozenset()


def _name(event: WireEvent, group: _Group, descriptors: Sequence[WireReport], at: datetime) -> str:
    said = repr((group, [(one.payload_type, one.reading_type, one.units) for one in descriptors]))
    short = hashlib.sha256(said.encode()).hexdigest()[:8]
    return f"{event.id} {at:%Y%m%dT%H%M%SZ} {short}"
