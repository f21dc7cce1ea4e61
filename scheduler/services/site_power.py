"""What a site drew at its grid connection, as far as anybody measured it.

The meter of the site tells (series ``site_power``). Where it told nothing of any of the intervals
asked for, what the plan wanted is corrected by what the cluster was measured to draw apart from it;
that is marked, because what else is behind the connection is taken to have done as planned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.types import Window
from scheduler.db.models import ClusterPower, TelemetryValue
from scheduler.services.held_plans import HeldPlans
from scheduler.services.plan_document import PlanDocument
from scheduler.services.power import LONGEST_GAP
from scheduler.settlement.metering import mean_kw
from scheduler.specs.message import TelemetrySeries

METER_GAP = timedelta(minutes=20)
"""Readings of a meter stand no further apart: meters of billing tell every quarter of an hour."""

_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class SitePower:
    """Mean net import by interval [kW]; ``None``: not known.

    ``is_metered``: by the meter of the site.
    """

    kw: tuple[float | None, ...]
    is_metered: bool


def site_power(
    session: Session, plans: HeldPlans, site: str, windows: Sequence[Window]
) -> SitePower:
    """Return what ``site`` drew in each of ``windows``.

    Of an hour that the clock repeats they may be the same twice.
    """
    once = sorted(set(windows), key=lambda window: (window.start, window.end))
    found = _in_order(session, plans, site, once)
    kw_of = dict(zip(once, found.kw, strict=True))
    return SitePower(tuple(kw_of[window] for window in windows), found.is_metered)


def planned_kw(document: PlanDocument | None, site: str, at: datetime) -> float | None:
    """Return the net import of ``site`` that a plan wants at ``at`` [kW]."""
    if document is None:
        return None
    slot = document.window.slot_of(at)
    for flows in document.plan.flows:
        if flows.site == site:
            return flows.import_kw[slot] - flows.export_kw[slot]
    return None


def telemetry(
    session: Session,
    site: str,
    series: TelemetrySeries,
    windows: Sequence[Window],
    device: str = "",
) -> Iterable[tuple[datetime, float]]:
    """Yield the readings of a meter that tell of ``windows``, which follow each other."""
    at = TelemetryValue.at
    rows = session.execute(
        select(at, TelemetryValue.value)
        .where(
            TelemetryValue.site == site,
            TelemetryValue.series == series,
            TelemetryValue.device == device,
            at >= windows[0].start - METER_GAP,
            at <= windows[-1].end + METER_GAP,
        )
        .order_by(at),
        execution_options={"yield_per": _ROWS_AT_ONCE},
    )
    return ((when, value) for when, value in rows)


def _in_order(
    session: Session, plans: HeldPlans, site: str, windows: Sequence[Window]
) -> SitePower:
    told = telemetry(session, site, TelemetrySeries.SITE_POWER, windows)
    metered = mean_kw(windows, told, METER_GAP)
    if any(kw is not None for kw in metered):
        return SitePower(metered, is_metered=True)
    apart = mean_kw(windows, _apart(session, site, windows), LONGEST_GAP)
    kw = tuple(
        None if beyond is None else _corrected(plans.holding_at(window.start), site, window, beyond)
        for window, beyond in zip(windows, apart, strict=True)
    )
    return SitePower(kw, is_metered=False)


def _corrected(
    document: PlanDocument | None, site: str, window: Window, beyond_it_kw: float
) -> float | None:
    """Return the planned import, and with it what IT drew beyond its own plan, times PUE."""
    wanted = planned_kw(document, site, window.start)
    if document is None or wanted is None:
        return None
    pue = document.problem.site(site).pue[document.window.slot_of(window.start)]
    return wanted + pue * beyond_it_kw


def _apart(
    session: Session, site: str, windows: Sequence[Window]
) -> Iterable[tuple[datetime, float]]:
    """By how much a cluster that was measured drew more than its plan wanted, by minute."""
    at = ClusterPower.at
    rows = session.execute(
        select(at, ClusterPower.kw, ClusterPower.planned_kw)
        .where(
            ClusterPower.site == site,
            ClusterPower.is_measured,
            ClusterPower.planned_kw.is_not(None),
            at >= windows[0].start - LONGEST_GAP,
            at <= windows[-1].end + LONGEST_GAP,
        )
        .order_by(at),
        execution_options={"yield_per": _ROWS_AT_ONCE},
    )
    return ((when, kw - (planned or 0.0)) for when, kw, planned in rows)
