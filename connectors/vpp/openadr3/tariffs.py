"""What events say of prices and of carbon, as signals of sites. Pure.

=================  ==============================================================================
``PRICE``          price of imported energy, in the currency of its descriptor
``EXPORT_PRICE``   price of exported energy
``GHG``            marginal carbon intensity [g/kWh]
=================  ==============================================================================

Where several hold the lowest number of priority wins, then the newest, as with limits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from connectors.types import GridSignal, SignalKind, Window
from connectors.vpp.openadr3.instants import FIRST
from connectors.vpp.openadr3.payloads import Horizon
from connectors.vpp.openadr3.timing import EventTiming, spans, split
from connectors.vpp.openadr3.wire import WireEvent

KINDS = {
    "PRICE": SignalKind.PRICE,
    "EXPORT_PRICE": SignalKind.EXPORT_PRICE,
    "GHG": SignalKind.MARGINAL_CARBON_INTENSITY,
}
STEP = timedelta(minutes=5)
"""Intervals of signals begin and end at whole steps of this."""

LONGEST = timedelta(hours=24)
MOST_ABSOLUTE = 1e6
_PER_MWH = {"KWH": 1000.0, "MWH": 1.0}
_G_PER_KWH = {"G/KWH": 1.0, "KWH": 1.0, "KG/KWH": 1000.0, "KG/MWH": 1.0}


@dataclass(frozen=True, slots=True)
class Said:
    """One value, as one event says it."""

    kind: SignalKind
    start: datetime
    end: datetime
    value: float
    currency: str | None  # None: it has none, or does not say
    rank: tuple[bool, int, float, str]


def said_by(event: WireEvent, timing: EventTiming, draw: float, horizon: Horizon) -> Iterator[Said]:
    """Yield every value ``event`` says of these kinds within ``horizon``.

    Raises
    ------
    ValueError
        A value is none, or in a unit that nobody reads, or its interval fits no signal.
    """
    described = {each.payload_type: each for each in event.descriptors}
    rank = (event.priority is None, event.priority or 0, -timing.said_at.timestamp(), event.id)
    for span in spans(timing, horizon.since, horizon.until, draw):
        payloads = event.intervals[span.interval].payloads if event.intervals else ()
        for payload in payloads:
            if payload.type not in KINDS:
                continue
            own = described.get(payload.type)
            factor = _factor(payload.type, None if own is None else own.units)
            currency = None if own is None or payload.type == "GHG" else own.currency
            parts = split(span.start, span.end, max(1, len(payload.values)))
            for (start, end), value in zip(parts, payload.values, strict=True):
                _require_steps(payload.type, start, end)
                number = factor * _number(payload.type, value)
                yield Said(KINDS[payload.type], start, end, number, currency, rank)


def signals_of(site: str, said: Iterable[Said]) -> list[GridSignal]:
    """Return what holds at ``site``, kind by kind in order of time; no two overlap."""
    by_kind: dict[SignalKind, list[Said]] = {}
    for each in said:
        by_kind.setdefault(each.kind, []).append(each)
    return [signal for kind in sorted(by_kind) for signal in _held(site, by_kind[kind])]


def _held(site: str, said: Sequence[Said]) -> Iterator[GridSignal]:
    edges = sorted({edge for each in said for edge in (each.start, each.end)})
    ordered = sorted(said, key=lambda each: each.start)
    live: list[Said] = []
    coming = 0
    for start, end in pairwise(edges):
        while coming < len(ordered) and ordered[coming].start <= start:
            live.append(ordered[coming])
            coming += 1
        live = [each for each in live if each.end > start]
        if live:
            first = min(live, key=lambda each: each.rank)
            for window in _days(start, end):
                yield GridSignal(site, first.kind, window, first.value, first.currency)


def _days(start: datetime, end: datetime) -> Iterator[Window]:
    """Cut what is longer than a value of a signal may be."""
    while start < end:
        after = min(end, start + LONGEST)
        yield Window(start, after)
        start = after


def _factor(payload_type: str, units: str | None) -> float:
    known = _G_PER_KWH if payload_type == "GHG" else _PER_MWH
    unit = (units or next(iter(known))).upper()
    if unit not in known:
        raise ValueError(f"{payload_type}: unit {unit[:40]!r}, must be one of {', '.join(known)}")
    return known[unit]


def _number(payload_type: str, value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    number = float(value) if is_number else math.nan  # type: ignore[arg-type]
    least = 0.0 if payload_type == "GHG" else -MOST_ABSOLUTE
    if not least <= number <= MOST_ABSOLUTE:
        limit = f"within [{least:g}, {MOST_ABSOLUTE:g}]"
        raise ValueError(f"{payload_type}: {str(value)[:40]}, must be {limit}")
    return number


def _require_steps(payload_type: str, start: datetime, end: datetime) -> None:
    for instant in (start, end):
        if (instant - FIRST) % STEP:
            limit = f"at a whole {STEP.seconds // 60} minutes"
            told = instant.isoformat()
            raise ValueError(f"{payload_type}: begins or ends at {told}, must be {limit}")
