"""Readings of devices: the last of each, and a range of one."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from connectors.types import Window
from scheduler.db.models import DeadLetter, TelemetryValue
from scheduler.services.paging import Page, PageRequest, read_page
from scheduler.specs.message import TelemetrySeries

MOST_READINGS = 10_000
"""Of one list."""


def last_readings(
    session: Session, since: datetime, site: str | None = None
) -> list[TelemetryValue]:
    """Return the last reading of every series and device since then, by site, series, device."""
    of = (TelemetryValue.site, TelemetryValue.series, TelemetryValue.device)
    newest = select(*of, func.max(TelemetryValue.at).label("at")).where(TelemetryValue.at >= since)
    if site is not None:
        newest = newest.where(TelemetryValue.site == site)
    last = newest.group_by(*of).subquery()
    same = (
        TelemetryValue.site == last.c.site,
        TelemetryValue.series == last.c.series,
        TelemetryValue.device == last.c.device,
        TelemetryValue.at == last.c.at,
    )
    return list(session.scalars(select(TelemetryValue).join(last, and_(*same)).order_by(*of)))


def readings(
    session: Session, site: str, series: TelemetrySeries, device: str, window: Window
) -> list[TelemetryValue]:
    """Return the readings of one device in ``window``, in order of time.

    At most one more than ``MOST_READINGS``: the one to go on from.
    """
    at = TelemetryValue.at
    return list(
        session.scalars(
            select(TelemetryValue)
            .where(
                TelemetryValue.site == site,
                TelemetryValue.series == series,
                TelemetryValue.device == device,
                at >= window.start,
                at < window.end,
            )
            .order_by(at)
            .limit(MOST_READINGS + 1)
        )
    )


def dead_letters(session: Session, stream: str | None, request: PageRequest) -> Page[DeadLetter]:
    """Return messages that could not be used, newest first."""
    found = select(DeadLetter)
    if stream is not None:
        found = found.where(DeadLetter.stream == stream)
    return read_page(session, found, DeadLetter.received_at, DeadLetter.id, request)
