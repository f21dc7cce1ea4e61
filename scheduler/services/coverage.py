"""How far each signal reaches and how old it is: what a plan made now would have to fill."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.types import SignalKind
from scheduler.db.models import SignalSeries
from scheduler.services import fleet
from scheduler.services.feed_states import FeedStanding, feed_standings
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
    feed
        Where it is fetched from, and how that goes; ``None`` where it is not fetched.
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
    feed: FeedStanding | None = None


def coverage(session: Session, now: datetime) -> list[Coverage]:
    """Every signal that came in or is needed, by site of the fleet and kind."""
    spec = fleet.required_spec(session)
    on_record = {
        (row.site, row.kind): row
        for row in session.scalars(select(SignalSeries).where(SignalSeries.n_intervals > 0))
    }
    feeds = feed_standings(session, spec, now)
    return [
        replace(
            _coverage(spec, site, kind, on_record.get((site.name, kind)), now),
            feed=feeds.get((site.name, kind)),
        )
        for site in spec.sites
        for kind in SignalKind
        if kind in _needed(site) or (site.name, kind) in on_record or (site.name, kind) in feeds
    ]


def _needed(site: SiteSpec) -> set[SignalKind]:
    needed = {SignalKind.CARBON_INTENSITY}
    if site.needs_price_signal:
        needed.add(SignalKind.PRICE)
    if site.has_pv:
        needed.add(SignalKind.PV)
    if site.has_wind:
        needed.add(SignalKind.WIND)
    return needed


def _coverage(
    spec: FleetSpec, site: SiteSpec, kind: SignalKind, series: SignalSeries | None, now: datetime
) -> Coverage:
    is_needed = kind in _needed(site)
    age_hours = None if series is None else _hours(series.newest_known_at, now)
    limit_hours = spec.planning.max_signal_age_hours
    return Coverage(
        site=site.name,
        kind=kind,
        is_needed=is_needed,
        n_intervals=0 if series is None else series.n_intervals,
        known_from=None if series is None else series.first_start_at,
        known_until=None if series is None else series.last_end_at,
        newest_known_at=None if series is None else series.newest_known_at,
        hours_ahead=None if series is None else _hours(now, series.last_end_at),
        age_hours=age_hours,
        is_stale=is_needed if age_hours is None else age_hours > limit_hours,
    )


def _hours(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else (end - start) / timedelta(hours=1)
