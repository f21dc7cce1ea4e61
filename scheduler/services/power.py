"""What clusters drew: the last reading of each, a history, and energy over a range.

Energy is the sum of trapezoids between readings that stand no further apart than ``LONGEST_GAP``.
Over a longer gap nothing is known, and nothing is assumed: it is named instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connectors.types import Window
from scheduler.db.models import ClusterPower

LONGEST_GAP = timedelta(minutes=5)
_HOUR = timedelta(hours=1)


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


@dataclass(frozen=True, slots=True)
class _Piece:
    """The part of a window between two readings that stand close enough."""

    start: datetime
    end: datetime
    kwh: float
    is_measured: bool
    planned_kwh: float | None


def last_readings(session: Session) -> list[ClusterPower]:
    """Return the last reading of every site, by site."""
    newest = select(ClusterPower.site, func.max(ClusterPower.at).label("at"))
    last = newest.group_by(ClusterPower.site).subquery()
    return list(
        session.scalars(
            select(ClusterPower)
            .join(last, (ClusterPower.site == last.c.site) & (ClusterPower.at == last.c.at))
            .order_by(ClusterPower.site)
        )
    )


def readings(session: Session, site: str, window: Window) -> list[ClusterPower]:
    """Return the readings of a site in ``window``, in order of time."""
    return list(
        session.scalars(
            select(ClusterPower)
            .where(
                ClusterPower.site == site,
                ClusterPower.at >= window.start,
                ClusterPower.at < window.end,
            )
            .order_by(ClusterPower.at)
        )
    )


def energy(session: Session, site: str, window: Window) -> Energy:
    """Return what a site's cluster drew in ``window``."""
    around = Window(window.start - LONGEST_GAP, window.end + LONGEST_GAP)
    return integrate(site, window, readings(session, site, around))


def integrate(site: str, window: Window, rows: Sequence[ClusterPower]) -> Energy:
    """Return the energy of ``rows``, which are in order and may reach beyond ``window``."""
    pieces = list(_pieces(window, rows))
    kwh = sum(piece.kwh for piece in pieces)
    measured_kwh = sum(piece.kwh for piece in pieces if piece.is_measured)
    covered = sum((piece.end - piece.start for piece in pieces), timedelta())
    compared = [piece for piece in pieces if piece.planned_kwh is not None]
    return Energy(
        site=site,
        window=window,
        kwh=kwh,
        covered_share=covered / (window.end - window.start),
        measured_share=measured_kwh / kwh if kwh > 0 else None,
        compared_kwh=sum(piece.kwh for piece in compared),
        planned_kwh=sum(piece.planned_kwh or 0.0 for piece in compared),
        sources=tuple(sorted({row.source for row in rows if row.is_measured})),
        gaps=tuple(_gaps(window, pieces)),
    )


def _pieces(window: Window, rows: Sequence[ClusterPower]) -> Iterator[_Piece]:
    for first, second in pairwise(rows):
        start, end = max(first.at, window.start), min(second.at, window.end)
        if second.at - first.at > LONGEST_GAP or end <= start:
            continue
        hours = (end - start) / _HOUR
        yield _Piece(
            start=start,
            end=end,
            kwh=(_kw_at(first, second, start) + _kw_at(first, second, end)) / 2 * hours,
            is_measured=first.is_measured and second.is_measured,
            planned_kwh=None if first.planned_kw is None else first.planned_kw * hours,
        )


def _kw_at(first: ClusterPower, second: ClusterPower, at: datetime) -> float:
    return first.kw + (second.kw - first.kw) * ((at - first.at) / (second.at - first.at))


def _gaps(window: Window, pieces: Sequence[_Piece]) -> Iterator[Window]:
    known_to = window.start
    for piece in pieces:
        if piece.start > known_to:
            yield Window(known_to, piece.start)
        known_to = piece.end
    if known_to < window.end:
        yield Window(known_to, window.end)
