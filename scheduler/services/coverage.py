"""How far each signal reaches and how old it is: what a plan made now would have to fill."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connectors.types import SignalKind
from scheduler.db.models import SignalValue
from scheduler.services import fleet
from scheduler.specs import FleetSpec
from scheduler.specs.fleet import SiteSpec


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is known of one signal. Instants and hours are ``None`` where nothing ever came.

    Attributes
    ----------
    is_needed
        Planning cannot do without it, or the site says it has such a plant.
    known_until
        End of the last interval with a value.
    hours_ahead
        From now to there [h]; negative where it lies in the past.
    age_hours
        Since the newest value came in [h].
    is_stale
        Older than the fleet's ``max_signal_age_hours``.
    """

    site: str
    kind: SignalKind
    is_needed: bool
    n_intervals: int
    known_from: datetime | None
    known_until: datetime | None
    newest_known_at: datetime | None
    hours_ahead: float | None
    age_hours: float | None
    is_stale: bool


@dataclass(frozen=True, slots=True)
class _Extent:
    n_intervals: int
    first: datetime
    until: datetime
    newest: datetime


def coverage(session: Session, now: datetime) -> list[Coverage]:
    """Every signal that came in or is needed, by site of the fleet and kind."""
    spec = fleet.required_spec(session)
    extents = _extents(session)
    return [
        _coverage(spec, site, kind, extents.get((site.name, kind)), now)
        for site in spec.sites
        for kind in SignalKind
        if kind in _needed(site) or (site.name, kind) in extents
    ]


def _needed(site: SiteSpec) -> set[SignalKind]:
    needed = {SignalKind.PRICE, SignalKind.CARBON_INTENSITY}
    if site.has_pv:
        needed.add(SignalKind.PV)
    if site.has_wind:
        needed.add(SignalKind.WIND)
    return needed


def _extents(session: Session) -> dict[tuple[str, SignalKind], _Extent]:
    rows = session.execute(
        select(
            SignalValue.site,
            SignalValue.kind,
            func.count(SignalValue.start_at.distinct()),
            func.min(SignalValue.start_at),
            func.max(SignalValue.start_at),
            func.max(SignalValue.known_at),
        ).group_by(SignalValue.site, SignalValue.kind)
    )
    return {
        (site, kind): _Extent(count, first, last + _length(session, site, kind, last), newest)
        for site, kind, count, first, last, newest in rows
    }


def _length(session: Session, site: str, kind: SignalKind, start: datetime) -> timedelta:
    """Length of the interval that starts at ``start``, as known last."""
    last_known = (
        select(SignalValue.minutes)
        .where(SignalValue.site == site, SignalValue.kind == kind, SignalValue.start_at == start)
        .order_by(SignalValue.known_at.desc())
        .limit(1)
    )
    return timedelta(minutes=session.scalars(last_known).one())


def _coverage(
    spec: FleetSpec, site: SiteSpec, kind: SignalKind, extent: _Extent | None, now: datetime
) -> Coverage:
    is_needed = kind in _needed(site)
    if extent is None:
        return Coverage(site.name, kind, is_needed, 0, None, None, None, None, None, is_needed)
    age_hours = (now - extent.newest) / timedelta(hours=1)
    return Coverage(
        site=site.name,
        kind=kind,
        is_needed=is_needed,
        n_intervals=extent.n_intervals,
        known_from=extent.first,
        known_until=extent.until,
        newest_known_at=extent.newest,
        hours_ahead=(extent.until - now) / timedelta(hours=1),
        age_hours=age_hours,
        is_stale=age_hours > spec.planning.max_signal_age_hours,
    )
