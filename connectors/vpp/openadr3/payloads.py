"""What an event asks of a site, as upper limits of its import; what it says besides is named.

=============================  =========================================================
``IMPORT_CAPACITY_LIMIT``      the limit
``DISPATCH_SETPOINT``          consumption to keep: held to as a limit from above
``SIMPLE`` 1, 2, 3             a share of the site's contract, as configured; 0: no limit
``ALERT_GRID_EMERGENCY``       nothing is drawn that can wait: a limit of zero
``ALERT_BLACK_START``          the same
``IMPORT_CAPACITY_SUBSCRIPTION``  what holds where no limit does
``IMPORT_CAPACITY_RESERVATION``   granted on top of the subscription
=============================  =========================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from connectors.types import GridEventKind
from connectors.vpp.openadr3.timing import Span, spans, split
from connectors.vpp.openadr3.wire import WireEvent, WirePayload

MOST_KW = 1e9
_KW_PER_UNIT = {"KW": 1.0, "W": 0.001, "MW": 1000.0}
SIGNALS = frozenset(("PRICE", "EXPORT_PRICE", "GHG"))
"""Types that ask nothing of a site: they are read as signals."""

_ALERTS = frozenset(("ALERT_GRID_EMERGENCY", "ALERT_BLACK_START"))


class CallKind(StrEnum):
    """How calls go together."""

    LIMIT = "limit"
    SUBSCRIPTION = "subscription"
    RESERVATION = "reservation"


_KINDS = {
    "IMPORT_CAPACITY_LIMIT": (CallKind.LIMIT, GridEventKind.LIMIT),
    "DISPATCH_SETPOINT": (CallKind.LIMIT, GridEventKind.SETPOINT),
    "SIMPLE": (CallKind.LIMIT, GridEventKind.LEVEL),
    "ALERT_GRID_EMERGENCY": (CallKind.LIMIT, GridEventKind.EMERGENCY),
    "ALERT_BLACK_START": (CallKind.LIMIT, GridEventKind.EMERGENCY),
    "IMPORT_CAPACITY_SUBSCRIPTION": (CallKind.SUBSCRIPTION, GridEventKind.SUBSCRIPTION),
    "IMPORT_CAPACITY_RESERVATION": (CallKind.RESERVATION, GridEventKind.SUBSCRIPTION),
}


@dataclass(frozen=True, slots=True)
class Call:
    """What one event asks in one span of time [kW]."""

    event_id: str
    kind: CallKind
    start: datetime
    end: datetime
    limit_kw: float
    priority: int | None
    said_at: datetime
    means: GridEventKind = GridEventKind.LIMIT


@dataclass(frozen=True, slots=True)
class Horizon:
    """What is looked at: spans that hold after ``since`` and before ``until``."""

    since: datetime
    until: datetime


def calls(
    event: WireEvent,
    contract_kw: float,
    simple_shares: tuple[float, float, float],
    horizon: Horizon,
    *,
    said_at: datetime,
    draw: float,
    zero_lasts: bool,
) -> tuple[list[Call], set[str]]:
    """Return what ``event`` asks of a site, and the types of what it says that is not used.

    Parameters
    ----------
    contract_kw
        What ``SIMPLE`` is a share of [kW].
    simple_shares
        Of levels 1, 2 and 3.
    said_at
        When the event was said, or came to be known where it does not say.

    Raises
    ------
    ValueError
        A value is none, or holds in more spans than anybody plans for.
    """
    timing = event.timing(said_at, zero_lasts=zero_lasts)
    units = {each.payload_type: each.units or "KW" for each in event.descriptors}
    found: list[Call] = []
    unused: set[str] = set()
    for span in spans(timing, horizon.since, horizon.until, draw):
        payloads = event.intervals[span.interval].payloads if event.intervals else ()
        for payload in payloads:
            if payload.type not in _KINDS:
                if payload.type not in SIGNALS:
                    unused.add(payload.type)
                continue
            kind, means = _KINDS[payload.type]
            shares = {level: contract_kw * share for level, share in enumerate(simple_shares, 1)}
            for start, end, kw in _values(payload, span, units, shares):
                priority = event.priority
                found.append(Call(event.id, kind, start, end, kw, priority, said_at, means))
    return found, unused


def _values(
    payload: WirePayload, span: Span, units: Mapping[str, str], simple_kw: Mapping[int, float]
) -> Iterator[tuple[datetime, datetime, float]]:
    """Return each value as a limit [kW], with its share of the span."""
    if payload.type in _ALERTS:
        yield span.start, span.end, 0.0
        return
    if not payload.values:
        raise ValueError(f"{payload.type}: has no value")
    parts = split(span.start, span.end, len(payload.values))
    for (start, end), value in zip(parts, payload.values, strict=True):
        number = _number(payload.type, value)
        if payload.type != "SIMPLE":
            yield start, end, number * _kw_per_unit(payload.type, units)
        elif number != 0:
            if number not in simple_kw:
                raise ValueError(f"SIMPLE: {number:g}, must be 0, 1, 2 or 3")
            yield start, end, simple_kw[int(number)]


def _kw_per_unit(payload_type: str, units: Mapping[str, str]) -> float:
    unit = units.get(payload_type, "KW").upper()
    if unit not in _KW_PER_UNIT:
        raise ValueError(f"{payload_type}: unit {unit[:40]!r}, must be one of {[*_KW_PER_UNIT]}")
    return _KW_PER_UNIT[unit]


def _number(payload_type: str, value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    number = float(value) if is_number else math.nan  # type: ignore[arg-type]
    if not 0 <= number <= MOST_KW:
        raise ValueError(f"{payload_type}: {str(value)[:40]}, must be within [0, {MOST_KW:g}]")
    return number
