"""Forecasts of our own as they were issued: listed, and set beside what is published by now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from connectors.types import SignalKind
from scheduler.db.models import SignalForecast
from scheduler.forecasting import known_history
from scheduler.services.errors import NotFound
from scheduler.services.forecast_records import newest_forecast
from scheduler.services.paging import Page, PageRequest, read_page_by
from scheduler.services.signal_store import Wanted, known_values
from scheduler.specs.base import Instant, Name

_POSITION: TypeAdapter[tuple[datetime, str, SignalKind]] = TypeAdapter(
    tuple[Instant, Name, SignalKind]
)


@dataclass(frozen=True, slots=True)
class ForecastInterval:
    """What was expected of one interval, and what is published of it.

    Attributes
    ----------
    quantiles
        In the order of the levels of its forecast, in the unit of its kind.
    published
        The mean of what is known of it by now; ``None``: nothing.
    """

    start_at: datetime
    quantiles: tuple[float, ...]
    published: float | None


def list_issued(
    session: Session, site: str | None, kind: SignalKind | None, request: PageRequest
) -> Page[SignalForecast]:
    """Return forecasts, issued last first."""
    found = select(SignalForecast).options(defer(SignalForecast.quantiles))
    if site is not None:
        found = found.where(SignalForecast.site == site)
    if kind is not None:
        found = found.where(SignalForecast.kind == kind)
    keys: tuple[Any, ...] = (SignalForecast.issued_at, SignalForecast.site, SignalForecast.kind)
    return read_page_by(session, found, keys, _POSITION, request)


def last_issued(
    session: Session, site: str, kind: SignalKind, known_at: datetime
) -> SignalForecast:
    """Return the forecast of a signal that was issued last at ``known_at``.

    Raises
    ------
    NotFound
        None had been issued by then.
    """
    found = newest_forecast(session, site, kind, known_at)
    if found is None:
        raise NotFound(f"forecast issued by {known_at.isoformat()}", f"{site} {kind.value}")
    return found


def beside_published(
    session: Session, issued: SignalForecast, now: datetime
) -> tuple[ForecastInterval, ...]:
    """Set what a forecast says beside what is published of its intervals at ``now``."""
    start, end = pd.Timestamp(issued.start_at), pd.Timestamp(issued.end_at)
    step = pd.Timedelta(minutes=issued.minutes)
    days = -(-(end - start) // pd.Timedelta(days=1)) + 1  # a coarse value may begin before it
    wanted = Wanted(
        issued.end_at - timedelta(days=days), issued.end_at, (issued.site,), (issued.kind,)
    )
    rows = known_values(session, wanted, now)
    known = known_history(rows, pd.Timestamp(now), end, issued.minutes, days)
    published = known.values[-len(issued.quantiles) :]
    return tuple(
        ForecastInterval(
            (start + index * step).to_pydatetime(),
            tuple(quantiles),
            float(value) if np.isfinite(value) else None,
        )
        for index, (quantiles, value) in enumerate(zip(issued.quantiles, published, strict=True))
    )
