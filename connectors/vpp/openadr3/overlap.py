"""Which of several calls holds at a site, instant by instant. Pure.

The lowest number of priority wins, and none is the lowest; of the same the strictest limit, then
the newest call. Where no limit holds the subscription does, with what is reserved on top of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
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
    live: list[Call] = []
    coming = 0
    for start, end in pairwise(edges):
        live = [call for call in live if call.end > start]
        while coming < len(ordered) and ordered[coming].start <= start:
            live.append(ordered[coming])
            coming += 1
        now = _winner(live, start, end)
        if now is None:
            continue
        if found and _goes_on(found[-1], now):
            found[-1] = replace(found[-1], end=end)
        else:
            found.append(now)
    return found


def _goes_on(before: Holding, now: Holding) -> bool:
    same = (before.event_id, before.limit_kw) == (now.event_id, now.limit_kw)
    return same and before.end == now.start


def _winner(live: Sequence[Call], start: datetime, end: datetime) -> Holding | None:
    limit = _first(live, CallKind.LIMIT)
    if limit is not None:
        return Holding(limit, start, end, limit.limit_kw)
    base = _first(live, CallKind.SUBSCRIPTION)
    if base is None:
        return None
    extra = _first(live, CallKind.RESERVATION)
    more_kw = 0.0 if extra is None else extra.limit_kw
    return Holding(base, start, end, base.limit_kw + more_kw)


def _first(live: Sequence[Call], kind: CallKind) -> Call | None:
    of_kind = (call for call in live if call.kind is kind)
    return min(of_kind, key=_rank, default=None)


def _rank(call: Call) -> tuple[bool, int, float, float, str]:
    newest = -call.said_at.timestamp()
    return call.priority is None, call.priority or 0, call.limit_kw, newest, call.event_id
