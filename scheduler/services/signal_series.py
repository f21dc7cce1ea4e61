"""The figures of each signal: kept as values come in, so that nobody goes through them to tell."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.types import SignalKind
from scheduler.db.inserts import insert_new
from scheduler.db.models import SignalSeries

SeriesKey = tuple[str, SignalKind]


def lock_series(session: Session, keys: Collection[SeriesKey]) -> dict[SeriesKey, SignalSeries]:
    """Give the rows of these signals, and let nobody else store values of them before we commit.

    Whoever locks several does so in one order, so that two never wait for each other.
    """
    if not keys:
        return {}
    insert_new(session, SignalSeries, [{"site": site, "kind": kind} for site, kind in sorted(keys)])
    rows = session.scalars(
        select(SignalSeries)
        .where(
            SignalSeries.site.in_({site for site, _ in keys}),
            SignalSeries.kind.in_({kind for _, kind in keys}),
        )
        .order_by(SignalSeries.site, SignalSeries.kind)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {(row.site, row.kind): row for row in rows}


def count_in(
    series: SignalSeries, start_at: datetime, end_at: datetime, known_at: datetime, is_new: bool
) -> None:
    """Count one value of [start_at, end_at); ``is_new``: of an interval without any before."""
    series.n_intervals += is_new
    series.first_start_at = min(series.first_start_at or start_at, start_at)
    series.last_end_at = max(series.last_end_at or end_at, end_at)
    series.newest_known_at = max(series.newest_known_at or known_at, known_at)
