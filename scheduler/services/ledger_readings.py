"""What was metered at a site, slot by slot, as the ledger counts it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from connectors.types import Window
from scheduler.db.models import ClusterPower, Job, TelemetryValue
from scheduler.ledger.metering import BothWays, both_ways
from scheduler.ledger.reports import MILLION
from scheduler.services.power import LONGEST_GAP
from scheduler.services.site_power import METER_GAP, telemetry
from scheduler.specs.fleet import SiteSpec
from scheduler.specs.message import TelemetrySeries

_ROWS_AT_ONCE = 10_000

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
        return both_ways(slots, telemetry(session, spec.name, series, slots, device), METER_GAP)

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
    """Read how many tokens ``jobs`` told of in ``window``, with the reading before and after.

    However far apart those are: between any two readings tokens are counted evenly.
    """
    at = TelemetryValue.at
    columns = TelemetryValue.device, at, TelemetryValue.value
    of_site = [
        TelemetryValue.site == site,
        TelemetryValue.series == TelemetrySeries.JOB_TOKENS,
    ]
    told = session.execute(
        select(*columns)
        .where(*of_site, at >= window.start, at < window.end)
        .order_by(TelemetryValue.device, at),
        execution_options={"yield_per": _ROWS_AT_ONCE},
    )
    within: dict[str, Readings] = {}
    for device, when, value in told:
        within.setdefault(device, []).append((when, value * MILLION))

    def nearest(job: str, side: ColumnElement[bool], order: ColumnElement[Any]) -> Readings:
        of_job = select(*columns).where(*of_site, TelemetryValue.device == job, side)
        rows = session.execute(of_job.order_by(order).limit(1))
        return [(when, value * MILLION) for _, when, value in rows]

    telling = exists().where(*of_site, TelemetryValue.device == Job.name)
    found = {}
    for job in session.scalars(select(Job.name).where(Job.name.in_(jobs), telling)):
        before = nearest(job, at < window.start, at.desc())
        after = nearest(job, at >= window.end, at.asc())
        found[job] = [*before, *within.get(job, []), *after]
    return found


def _cluster(session: Session, site: str, slots: Sequence[Window]) -> Readings:
    """Read what a cluster was measured to draw; what is modelled is modelled by slot."""
    at = ClusterPower.at
    rows = session.execute(
        select(at, ClusterPower.kw)
        .where(
            ClusterPower.site == site,
            ClusterPower.is_measured,
            at >= slots[0].start - LONGEST_GAP,
            at <= slots[-1].end + LONGEST_GAP,
        )
        .order_by(at),
        execution_options={"yield_per": _ROWS_AT_ONCE},
    )
    return [(when, kw) for when, kw in rows]
