"""What was metered at a site, slot by slot, as the ledger counts it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from connectors.types import Window
from scheduler.db.models import ClusterPower, TelemetryValue
from scheduler.ledger.metering import BothWays, both_ways
from scheduler.services.power import LONGEST_GAP
from scheduler.services.site_power import METER_GAP
from scheduler.specs.fleet import SiteSpec
from scheduler.specs.message import TelemetrySeries

_ROWS_AT_ONCE = 10_000
_MILLION = 1e6

Slots = tuple[BothWays | None, ...]
Readings = list[tuple[datetime, float]]


@dataclass(frozen=True, slots=True)
class Metered:
    """Energy by slot; ``None``: not metered in it.

    ``plants`` and ``batteries`` are by name; what nobody ever told of is not in them.
    """

    grid: Slots
    cluster: Slots
    plants: Mapping[str, Slots]
    batteries: Mapping[str, Slots]


def read_metered(session: Session, spec: SiteSpec, slots: Sequence[Window]) -> Metered:
    """Read what was metered at a site in ``slots``, which follow each other."""

    def told(series: TelemetrySeries, device: str = "") -> Slots:
        rows = _telemetry(session, spec.name, series, device, slots)
        return both_ways(slots, rows, METER_GAP)

    plants = {"pv": (spec.has_pv, TelemetrySeries.PV_POWER)}
    plants["wind"] = (spec.has_wind, TelemetrySeries.WIND_POWER)
    return Metered(
        grid=told(TelemetrySeries.SITE_POWER),
        cluster=both_ways(slots, _cluster(session, spec.name, slots), LONGEST_GAP),
        plants={name: told(series) for name, (is_there, series) in plants.items() if is_there},
        batteries={
            unit.name: told(TelemetrySeries.BATTERY_POWER, unit.name) for unit in spec.batteries
        },
    )


def read_tokens(
    session: Session, site: str, jobs: Collection[str], window: Window
) -> dict[str, Readings]:
    """Read how many tokens ``jobs`` told of in ``window``, with the reading before and after."""
    at = TelemetryValue.at
    of_site = [
        TelemetryValue.site == site,
        TelemetryValue.series == TelemetrySeries.JOB_TOKENS,
    ]
    told = session.execute(
        select(TelemetryValue.device, at, TelemetryValue.value)
        .where(*of_site, at >= window.start, at < window.end + METER_GAP)
        .order_by(TelemetryValue.device, at),
        execution_options={"yield_per": _ROWS_AT_ONCE},
    )
    found: dict[str, Readings] = {}
    for device, when, value in told:
        if device in jobs:
            found.setdefault(device, []).append((when, value * _MILLION))
    for job, readings in found.items():
        before = session.execute(
            select(at, TelemetryValue.value)
            .where(*of_site, TelemetryValue.device == job, at < window.start)
            .order_by(at.desc())
            .limit(1)
        ).first()
        if before is not None:
            readings.insert(0, (before.at, before.value * _MILLION))
    return found


def _telemetry(
    session: Session, site: str, series: TelemetrySeries, device: str, slots: Sequence[Window]
) -> Readings:
    at = TelemetryValue.at
    rows = session.execute(
        select(at, TelemetryValue.value)
        .where(
            TelemetryValue.site == site,
            TelemetryValue.series == series,
            TelemetryValue.device == device,
            *_around(at, slots, METER_GAP),
        )
        .order_by(at),
        execution_options={"yield_per": _ROWS_AT_ONCE},
    )
    return [(when, value) for when, value in rows]


def _cluster(session: Session, site: str, slots: Sequence[Window]) -> Readings:
    """Read what a cluster was measured to draw; what is modelled is modelled by slot."""
    at = ClusterPower.at
    rows = session.execute(
        select(at, ClusterPower.kw)
        .where(
            ClusterPower.site == site, ClusterPower.is_measured, *_around(at, slots, LONGEST_GAP)
        )
        .order_by(at),
        execution_options={"yield_per": _ROWS_AT_ONCE},
    )
    return [(when, kw) for when, kw in rows]


def _around(
    at: InstrumentedAttribute[datetime], slots: Sequence[Window], by: timedelta
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return at >= slots[0].start - by, at <= slots[-1].end + by
