"""What is known of sites, as a report of the types that an event asks for.

============================  ======================================================  ==========
``USAGE``                     energy drawn                                            kWh
``DEMAND``                    mean power drawn; by reading type the highest or what
                              is planned                                              kW
``USAGE_FORECAST``            energy the plan in force wants                          kWh
``BASELINE``                  power that would be drawn without the call              kW
``OPERATING_STATE``           whether the site keeps to what it was called to
``STORAGE_CHARGE_LEVEL``      of all batteries of the site, at the end                %
``STORAGE_USABLE_CAPACITY``   what they hold when they are full                       kWh
``STORAGE_MAX_...POWER``      what they can take, and give                            kW
``LOAD_SHED_DELTA_AVAILABLE`` load that could be taken off                            kW
``UP_REGULATION_AVAILABLE``   that, and what batteries could give more                kW
``DOWN_REGULATION_AVAILABLE`` what batteries could take more                          kW
============================  ======================================================  ==========

Each type has its unit in a descriptor. A value that is not known is left out, and that is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from connectors.types import Measure, Report, SiteFigures
from connectors.vpp.openadr3.instants import written_duration
from connectors.vpp.openadr3.timing import Span
from connectors.vpp.openadr3.wire import WireReport

AGGREGATED = "AGGREGATED_REPORT"
_HOUR = timedelta(hours=1)
_TOLERANCE_KW = 0.01


@dataclass(frozen=True, slots=True)
class Kind:
    """How one type is told: of which measure, in which unit, as which reading."""

    measure: Measure
    unit: str | None
    reading: str
    value: Callable[[SiteFigures], float | str | None]


def _kwh(figures: SiteFigures, kw: float | None) -> float | None:
    return (
        None if kw is None else max(0.0, kw) * ((figures.window.end - figures.window.start) / _HOUR)
    )


def _kw(kw: float | None) -> float | None:
    return None if kw is None else max(0.0, kw)


def _level(figures: SiteFigures) -> float | None:
    if figures.stored_kwh is None or not figures.storage_kwh:
        return None
    return 100 * figures.stored_kwh / figures.storage_kwh


def _up(figures: SiteFigures) -> float | None:
    if figures.shed_kw is None or figures.more_discharge_kw is None:
        return None
    return figures.shed_kw + figures.more_discharge_kw


def _state(figures: SiteFigures) -> str | None:
    if figures.import_kw is None:
        return None
    if figures.limit_kw is None:
        return "NORMAL"
    if figures.import_kw > figures.limit_kw + _TOLERANCE_KW:
        return "RUNNING_OPTED_OUT"
    return "RUNNING_CURTAILED" if figures.import_kw > _TOLERANCE_KW else "IDLE_CURTAILED"


_DRAWN = frozenset(("", "DIRECT_READ", "MEAN", "SUMMED", "ESTIMATED"))
_PEAK = frozenset(("PEAK",))
_FORECAST = frozenset(("", "FORECAST"))

_USAGE = Kind(Measure.POWER, "KWH", "DIRECT_READ", lambda it: _kwh(it, it.import_kw))
_USAGE_FORECAST = Kind(Measure.FORECAST, "KWH", "FORECAST", lambda it: _kwh(it, it.planned_kw))
_MEAN = Kind(Measure.POWER, "KW", "MEAN", lambda it: _kw(it.import_kw))
_HIGHEST = Kind(Measure.PEAK, "KW", "PEAK", lambda it: _kw(it.peak_kw))
_PLANNED = Kind(Measure.FORECAST, "KW", "FORECAST", lambda it: _kw(it.planned_kw))
_USUAL = Kind(Measure.BASELINE, "KW", "MEAN", lambda it: _kw(it.baseline_kw))
_STATE = Kind(Measure.STATE, None, "DIRECT_READ", _state)


def _stored(unit: str, value: Callable[[SiteFigures], float | None]) -> Kind:
    return Kind(Measure.STORAGE, unit, "DIRECT_READ", value)


def _possible(value: Callable[[SiteFigures], float | None]) -> Kind:
    return Kind(Measure.FLEXIBILITY, "KW", "ESTIMATED", value)


_READINGS: dict[str, tuple[tuple[frozenset[str], Kind], ...]] = {
    "USAGE": ((_DRAWN, _USAGE), (_FORECAST, _USAGE_FORECAST)),
    "DEMAND": ((_DRAWN, _MEAN), (_PEAK, _HIGHEST), (_FORECAST, _PLANNED)),
    "USAGE_FORECAST": ((_DRAWN | _FORECAST, _USAGE_FORECAST),),
    "BASELINE": ((_DRAWN | _FORECAST, _USUAL),),
    "OPERATING_STATE": ((_DRAWN, _STATE),),
    "STORAGE_CHARGE_LEVEL": ((_DRAWN | _FORECAST, _stored("PERCENT", _level)),),
    "STORAGE_USABLE_CAPACITY": ((_DRAWN, _stored("KWH", lambda it: it.storage_kwh)),),
    "STORAGE_MAX_CHARGE_POWER": ((_DRAWN, _stored("KW", lambda it: it.charge_max_kw)),),
    "STORAGE_MAX_DISCHARGE_POWER": ((_DRAWN, _stored("KW", lambda it: it.discharge_max_kw)),),
    "LOAD_SHED_DELTA_AVAILABLE": ((_DRAWN | _FORECAST, _possible(lambda it: it.shed_kw)),),
    "UP_REGULATION_AVAILABLE": ((_DRAWN | _FORECAST, _possible(_up)),),
    "DOWN_REGULATION_AVAILABLE": ((_DRAWN | _FORECAST, _possible(lambda it: it.more_charge_kw)),),
}
_UNITS = {
    "KWH": ("KWH", 1.0),
    "WH": ("KWH", 1000.0),
    "MWH": ("KWH", 0.001),
    "KW": ("KW", 1.0),
    "W": ("KW", 1000.0),
    "MW": ("KW", 0.001),
    "PERCENT": ("PERCENT", 1.0),
}
_OF_METER = frozenset((Measure.POWER, Measure.PEAK, Measure.STATE))


@dataclass(frozen=True, slots=True)
class Told:
    """One type as it is told: ``factor`` takes it to the unit that was asked for."""

    name: str
    kind: Kind
    unit: str | None
    factor: float


def told_as(asked: WireReport) -> Told:
    """Return how a type that is asked for is told.

    Raises
    ------
    ValueError
        It is not told here, or not as that reading, or not in that unit.
    """
    kind = _kind(asked)
    unit = (asked.units or kind.unit or "").upper()
    if kind.unit is None:
        return Told(asked.payload_type, kind, None, 1.0)
    same, factor = _UNITS.get(unit, ("", 0.0))
    if same != kind.unit:
        fit = [name for name, (of, _) in _UNITS.items() if of == kind.unit]
        raise ValueError(f"units {unit[:40]!r}, must be one of {', '.join(fit)}")
    return Told(asked.payload_type, kind, unit, factor)


def _kind(asked: WireReport) -> Kind:
    reading = (asked.reading_type or "").upper()
    choices = _READINGS.get(asked.payload_type)
    if choices is None:
        raise ValueError("is not told here")
    for readings, kind in choices:
        if reading in readings:
            # Of what is to come all there is is the plan's.
            return kind if asked.historical else choices[-1][1]
    known = sorted({name for readings, _ in choices for name in readings if name})
    raise ValueError(f"readingType {reading[:40]!r}, must be one of {', '.join(known)}")


@dataclass(frozen=True, slots=True)
class Header:
    """What a report is of: who asks, who tells, as what."""

    event: str
    program: str | None  # None: the version has none
    client: str
    is_aggregate: bool


def report_body(
    header: Header,
    told: Sequence[Told],
    spans: Sequence[tuple[int, Span]],
    report: Report,
    resources: Mapping[str, str],
) -> dict[str, Any]:
    """Return a report as it is sent.

    Parameters
    ----------
    spans
        Every interval it is of, with the event's own number of it, which is echoed.
    resources
        What sites are called there.
    """
    numbers = [(span, number) for number, span in spans]
    if header.is_aggregate:
        of_resources = {AGGREGATED: _summed(report.figures)}
    else:
        of_resources = {resources[site]: [] for site in report.request.sites}
        for figures in report.figures:
            of_resources[resources[figures.site]].append(figures)
    return {
        **({} if header.program is None else {"programID": header.program}),
        "eventID": header.event,
        "clientName": header.client,
        "reportName": report.request.name,
        "payloadDescriptors": [_descriptor(each) for each in told],
        "resources": [
            {
                "resourceName": name,
                "intervals": [_interval(each, told, numbers) for each in figures],
            }
            for name, figures in of_resources.items()
        ],
    }


def _interval(
    figures: SiteFigures, told: Sequence[Told], numbers: Iterable[tuple[Span, int]]
) -> dict[str, Any]:
    values = [(each, each.kind.value(figures)) for each in told]
    known = [
        {"type": each.name, "values": [value * each.factor if isinstance(value, float) else value]}
        for each, value in values
        if value is not None
    ]
    start = figures.window.start
    return {
        "id": next((no for span, no in numbers if span.start <= start < span.end), 0),
        "intervalPeriod": {
            "start": _written(start),
            "duration": written_duration(figures.window.end - start),
        },
        "payloads": [*known, {"type": "DATA_QUALITY", "values": [_quality(figures, values)]}],
    }


def _written(start: Any) -> str:
    micro = f".{start.microsecond:06d}" if start.microsecond else ""
    return f"{start:%Y-%m-%dT%H:%M:%S}{micro}Z"


def _quality(figures: SiteFigures, values: Sequence[tuple[Told, object]]) -> str:
    """Say how good the worst of the values is."""
    if any(value is None for _, value in values):
        return "MISSING"
    if figures.is_measured and all(each.kind.measure in _OF_METER for each, _ in values):
        return "OK"
    return "ESTIMATED"


def _summed(figures: Sequence[SiteFigures]) -> list[SiteFigures]:
    """Add up all sites, interval by interval; what one of them does not know is not known.

    Who is not called, beside others that are, is called to what it draws.
    """
    by_window: dict[Any, list[SiteFigures]] = {}
    for each in figures:
        by_window.setdefault(each.window, []).append(each)
    return [_sum(of_window) for of_window in by_window.values()]


def _sum(parts: Sequence[SiteFigures]) -> SiteFigures:
    names = (
        *("import_kw", "peak_kw", "planned_kw", "baseline_kw"),
        *("shed_kw", "more_discharge_kw", "more_charge_kw"),
    )
    batteries = ("stored_kwh", "storage_kwh", "charge_max_kw", "discharge_max_kw")
    whole = {name: _added([getattr(part, name) for part in parts]) for name in names}
    having = [part for part in parts if part.storage_kwh is not None]
    stored = {name: _added([getattr(part, name) for part in having]) for name in batteries}
    is_measured = all(part.is_measured for part in parts)
    if any(part.limit_kw is not None for part in parts):
        whole["limit_kw"] = _added(
            [part.import_kw if part.limit_kw is None else part.limit_kw for part in parts]
        )
    if len(parts) > 1:
        whole["peak_kw"] = None  # sites need not have peaked at once
    return SiteFigures(
        site=parts[0].site,
        window=parts[0].window,
        is_measured=is_measured,
        **(whole | stored),
    )


def _added(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _descriptor(told: Told) -> dict[str, str]:
    return {
        "objectType": "REPORT_PAYLOAD_DESCRIPTOR",
        "payloadType": told.name,
        "readingType": told.kind.reading,
        **({} if told.unit is None else {"units": told.unit}),
    }
