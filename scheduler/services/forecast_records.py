"""Forecasts of our own, kept as they were issued: what was expected at an instant is one query.

They have a table of their own beside the values that come in, so that a value that is published
with an earlier instant is never hidden behind a forecast, and no forecast is taken for history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, aliased

from connectors.types import SignalKind, Window
from scheduler.db.inserts import insert_new
from scheduler.db.models import SignalForecast, SignalSeries
from scheduler.forecasting import QuantileForecast
from scheduler.services.forecast_models import ModelKey, ModelShelf
from scheduler.services.own_forecasts import (
    DRIVER_KINDS,
    HISTORY_DAYS,
    MOST_SILENT,
    Helped,
    IssuedForecast,
    ShortSignal,
    issue,
    short_signals,
)
from scheduler.services.signal_store import Wanted, all_values, known_values
from scheduler.services.signals import signals_frame
from scheduler.services.window import PlanWindow
from scheduler.specs import FleetSpec, ForecastMethod

KEPT_DAYS = 400
_DIGITS = 6  # of what is kept of a quantile
_DRIVER_DAYS = 40  # of which typical days of a driver are made


@dataclass(frozen=True, slots=True, eq=False)
class Due:
    """A forecast to be issued, and what is known to issue it from."""

    short: ShortSignal
    method: ForecastMethod
    history: pd.DataFrame
    drivers: Mapping[SignalKind, pd.DataFrame]


def due_forecasts(
    session: Session, fleet: FleetSpec, window: PlanWindow, now: datetime
) -> tuple[Due, ...]:
    """Return the forecasts that a plan of ``window`` needs and that are not on record.

    One on record will do where nothing was published of its signal since it was issued.
    """
    method = fleet.planning.forecast
    signals = signals_frame(session, Window(window.start - MOST_SILENT, window.end), now)
    due = []
    for short in short_signals(fleet, signals, window, now):
        newest = newest_forecast(session, short.site, short.kind, now)
        if newest is not None and _will_do(session, newest, short, method):
            continue
        drivers = _drivers(session, short, now) if method is ForecastMethod.BOOSTED else {}
        due.append(Due(short, method, _history(session, short, now), drivers))
    return tuple(due)


def issue_due(due: Sequence[Due], shelf: ModelShelf, now: datetime) -> tuple[IssuedForecast, ...]:
    """Issue what can be issued; it takes seconds for many, so no transaction is open."""
    issued = []
    for one in due:
        model = shelf.find(ModelKey(one.short.site, one.short.kind, one.short.minutes))
        helped = None if model is None else Helped(model, one.drivers)
        issued.append(issue(one.short, one.history, one.method, now, helped))
    return tuple(one for one in issued if one is not None)


def store_forecasts(session: Session, issued: Sequence[IssuedForecast]) -> int:
    """Keep forecasts as they were issued; one on record of the very same instant stands."""
    rows = [_as_row(one) for one in issued]
    for row in rows:
        session.execute(
            delete(SignalForecast).where(
                SignalForecast.site == row["site"],
                SignalForecast.kind == row["kind"],
                SignalForecast.issued_at < row["issued_at"] - timedelta(days=KEPT_DAYS),
            )
        )
    return insert_new(session, SignalForecast, rows)


def known_forecasts(
    session: Session, window: Window, known_at: datetime
) -> tuple[IssuedForecast, ...]:
    """Return the forecast of each signal known last at ``known_at`` that reaches the window."""
    rank = func.row_number().over(
        partition_by=(SignalForecast.site, SignalForecast.kind),
        order_by=SignalForecast.issued_at.desc(),
    )
    reaching = (
        select(SignalForecast, rank.label("rank"))
        .where(
            SignalForecast.issued_at <= known_at,
            SignalForecast.end_at > window.start,
            SignalForecast.start_at < window.end,
        )
        .subquery()
    )
    newest = aliased(SignalForecast, reaching)
    rows = session.scalars(
        select(newest).where(reaching.c.rank == 1).order_by(newest.site, newest.kind)
    )
    return tuple(_of_row(row) for row in rows)


def _history(session: Session, short: ShortSignal, now: datetime) -> pd.DataFrame:
    start = short.start_at - timedelta(days=HISTORY_DAYS)
    return known_values(session, Wanted(start, short.start_at, (short.site,), (short.kind,)), now)


def _drivers(session: Session, short: ShortSignal, now: datetime) -> dict[SignalKind, pd.DataFrame]:
    """Read what was published lately of what may drive a signal, issue by issue."""
    start = now - timedelta(days=_DRIVER_DAYS)
    found = {}
    for kind in DRIVER_KINDS:
        wanted = Wanted(start, short.end_at, (short.site,), (kind,))
        found[kind] = all_values(session, wanted, start, now)
    return found


def newest_forecast(
    session: Session, site: str, kind: SignalKind, known_at: datetime
) -> SignalForecast | None:
    """Return the forecast of a signal issued last at ``known_at``; None: there was none."""
    return session.scalars(
        select(SignalForecast)
        .where(
            SignalForecast.site == site,
            SignalForecast.kind == kind,
            SignalForecast.issued_at <= known_at,
        )
        .order_by(SignalForecast.issued_at.desc())
        .limit(1)
    ).one_or_none()


def _will_do(
    session: Session, newest: SignalForecast, short: ShortSignal, method: ForecastMethod
) -> bool:
    covers = newest.start_at <= short.start_at and short.end_at <= newest.end_at
    is_of_this_kind = newest.asked == method.value and newest.minutes == short.minutes
    series = session.get(SignalSeries, (short.site, short.kind))
    known_at = None if series is None else series.newest_known_at
    nothing_since = known_at is None or known_at <= newest.issued_at
    return covers and is_of_this_kind and nothing_since


def _as_row(issued: IssuedForecast) -> dict[str, Any]:
    made = issued.forecast
    length = timedelta(minutes=made.minutes) * len(made.values)
    return {
        "site": issued.site,
        "kind": issued.kind,
        "issued_at": made.issued_at.to_pydatetime(),
        "start_at": made.start_at.to_pydatetime(),
        "end_at": made.start_at.to_pydatetime() + length,
        "minutes": made.minutes,
        "method": made.method,
        "asked": issued.asked.value,
        "levels": list(made.levels),
        "quantiles": [[float(f"{value:.{_DIGITS}g}") for value in row] for row in made.values],
        "notes": list(made.notes),
    }


def _of_row(row: SignalForecast) -> IssuedForecast:
    made = QuantileForecast(
        issued_at=pd.Timestamp(row.issued_at),
        start_at=pd.Timestamp(row.start_at),
        minutes=row.minutes,
        levels=tuple(row.levels),
        values=np.array(row.quantiles, dtype=float),
        method=row.method,
        notes=tuple(row.notes),
    )
    return IssuedForecast(row.site, row.kind, ForecastMethod(row.asked), made)
