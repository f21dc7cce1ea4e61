"""What clusters drew: the last reading of each, a history, and energy over a range.

Energy is the sum of trapezoids between readings that stand no further apart than ``LONGEST_GAP``.
Over a longer gap nothing is known, and nothing is assumed: it is named instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from connectors.types import Window
from scheduler.db.models import ClusterPower
from scheduler.services import fleet
from scheduler.services.errors import NotFound

LONGEST_GAP = timedelta(minutes=5)
_HOUR = timedelta(hours=1)
_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy a cluster drew in a window, and of how much of it that is known.

    Attributes
    ----------
    kwh
        Over the time that readings cover.
    covered_share, measured_share
        Of the window covered by readings; of ``kwh`` between two that were both measured. ``None``
        where there is nothing to have a share of.
    compared_kwh, planned_kwh
        Over the time that readings cover and a plan governed: what was drawn, and what it wanted.
    gaps
        What no reading covers, in order.
    """

    site: str
    window: Window
    kwh: float
    covered_share: float
    measured_share: float | None
    compared_kwh: float
    planned_kwh: float
    sources: tuple[str, ...]
    gaps: tuple[Window, ...]


class Reading(NamedTuple):
    """What energy is reckoned from."""

    at: datetime
    kw: float
    is_measured: bool
    source: str
    planned_kw: float | None


def last_readings(session: Session, since: datetime | None = None) -> list[ClusterPower]:
    """Return the last reading of every site, by site; of those read ``since`` then."""
    newest = select(ClusterPower.site, func.max(ClusterPower.at).label("at"))
    if since is not None:
        newest = newest.where(ClusterPower.at >= since)
    last = newest.group_by(ClusterPower.site).subquery()
    return list(
        session.scalars(
            select(ClusterPower)
            .join(last, (ClusterPower.site == last.c.site) & (ClusterPower.at == last.c.at))
            .order_by(ClusterPower.site)
        )
    )


def require_known(session: Session, site: str) -> None:
    """Raise ``NotFound`` for a site that is not in the fleet and was never read."""
    spec = fleet.required_spec(session)
    is_read = select(ClusterPower.site).where(ClusterPower.site == site).limit(1)
    if site not in {one.name for one in spec.sites} and session.scalar(is_read) is None:
        raise NotFound("site", site)


def readings(session: Session, site: str, window: Window) -> list[ClusterPower]:
    """Return the readings of a site in ``window``, in order of time."""
    of_site = select(ClusterPower).where(*_within(site, window))
    return list(session.scalars(of_site.order_by(ClusterPower.at)))


def energy(session: Session, site: str, window: Window) -> Energy:
    """Return what a site's cluster drew in ``window``."""
    around = Window(window.start - LONGEST_GAP, window.end + LONGEST_GAP)
    columns = [getattr(ClusterPower, name) for name in Reading._fields]
    rows = session.execute(
        select(*columns).where(*_within(site, around)).order_by(ClusterPower.at),
        execution_options={"yield_per": _ROWS_AT_ONCE},
    )
    return integrate(site, window, (Reading(*row) for row in rows))


def integrate(site: str, window: Window, rows: Iterable[Reading]) -> Energy:
    """Return the energy of ``rows``, which are in order and may reach beyond ``window``."""
    kwh = measured_kwh = compared_kwh = planned_kwh = 0.0
    covered = timedelta()
    known_to = window.start
    sources: set[str] = set()
    gaps: list[Window] = []
    for first, second in pairwise(rows):
        start, end = max(first.at, window.start), min(second.at, window.end)
        if second.at - first.at > LONGEST_GAP or end <= start:
            continue
        if start > known_to:
            gaps.append(Window(known_to, start))
        known_to = end
        covered += end - start
        hours = (end - start) / _HOUR
        drawn_kwh = (_kw_at(first, second, start) + _kw_at(first, second, end)) / 2 * hours
        kwh += drawn_kwh
        if first.is_measured and second.is_measured:
            measured_kwh += drawn_kwh
            sources |= {first.source, second.source}
        if first.planned_kw is not None:
            compared_kwh += drawn_kwh
            planned_kwh += first.planned_kw * hours
    if known_to < window.end:
        gaps.append(Window(known_to, window.end))
    return Energy(
        site=site,
        window=window,
        kwh=kwh,
        covered_share=covered / (window.end - window.start),
        measured_share=measured_kwh / kwh if kwh > 0 else None,
        compared_kwh=compared_kwh,
        planned_kwh=planned_kwh,
        sources=tuple(sorted(sources)),
        gaps=tuple(gaps),
    )


def _within(site: str, window: Window) -> tuple[ColumnElement[bool], ...]:
    at = ClusterPower.at
    return ClusterPower.site == site, at >= window.start, at < window.end


def _kw_at(first: Reading, second: Reading, at: datetime) -> float:
    return first.kw + (second.kw - first.kw) * ((at - first.at) / (second.at - first.at))
