"""Which of several calls holds at a site, instant by instant. Pure.

The lowest number of priority wins, and none is the lowest; of the same the strictest limit, then
the newest call. Where no limit holds the subscription does, with what is reserved on top of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import heappop, heappush
from itertools import pairwise

from connectors.vpp.openadr3.payloads import Call, CallKind


@dataclass(frozen=True, slots=True)
class Holding:
    """The limit that holds in [start, end) [kW], and by which call."""

    call: Call
    start: datetime
    end: datetime
    limit_kw: float

    @property
    def event_id(self) -> str:
        """The event of the call."""
        return self.call.event_id


def holding(calls: Iterable[Call]) -> list[Holding]:
    """Return what holds, in order of time; spans are disjoint, and as long as they can be."""
    ordered = sorted(calls, key=lambda call: call.start)
    edges = sorted({edge for call in ordered for edge in (call.start, call.end)})
    found: list[Holding] = []
    live = {kind: _Live() for kind in CallKind}
    coming = 0
    for start, end in pairwise(edges):
        while coming < len(ordered) and ordered[coming].start <= start:
            live[ordered[coming].kind].add(ordered[coming])
            coming += 1
        now = _winner(live, start, end)
        if now is None:
            continue
        if found and _goes_on(found[-1], now):
            found[-1] = replace(found[-1], end=end)
        else:
            found.append(now)
    return found


class _Live:
    """Calls of one kind that have begun, the first by rank on top."""

    def __init__(self) -> None:
        self._heap: list[tuple[tuple[bool, int, float, float, str], int, Call]] = []
        self._added = 0

    def add(self, call: Call) -> None:
        self._added += 1  # of the same rank the first one; calls are not compared
        heappush(self._heap, (_rank(call), self._added, call))

    def first(self, at: datetime) -> Call | None:
        """Return the first that is not over; ``at`` never goes back."""
        while self._heap and self._heap[0][2].end <= at:
            heappop(self._heap)
        return self._heap[0][2] if self._heap else None


def _goes_on(before: Holding, now: Holding) -> bool:
    same = (before.event_id, before.limit_kw) == (now.event_id, now.limit_kw)
    return same and before.end == now.start


def _winner(live: Mapping[CallKind, _Live], start: datetime, end: datetime) -> Holding | None:
    limit = live[CallKind.LIMIT].first(start)
    if limit is not None:
        return Holding(limit, start, end, limit.limit_kw)
    base = live[CallKind.SUBSCRIPTION].first(start)
    if base is None:
        return None
    extra = live[CallKind.RESERVATION].first(start)
    more_kw = 0.0 if extra is None else extra.limit_kw
    return Holding(base, start, end, base.limit_kw + more_kw)


def _rank(call: Call) -> tuple[bool, int, float, float, str]:
    newest = -call.said_at.timestamp()
    return call.priority is None, call.priority or 0, call.limit_kw, newest, call.event_id
