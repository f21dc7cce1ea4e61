"""Published forecasts weighed against earlier days, as far as those missed less.

Pure: what is known now and what was published before go in, what to plan with comes out. See
``forecasting.weigh`` for the rule. What was measured stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from connectors.types import SignalKind
from scheduler.forecasting import Weights, fitted_weights, weighed
from scheduler.forecasting.quantiles import Indices, Values
from scheduler.forecasting.weigh import WEEK_DAYS
from scheduler.services.signal_inputs import (
    FITTED_OVER,
    by_signal,
    is_measured,
    marked,
    only_length,
    with_origin,
)

NEEDS_BEFORE = timedelta(days=WEEK_DAYS + 1)
"""So long before a forecast the signal itself must be known."""
WEIGHED_KINDS = (SignalKind.CARBON_INTENSITY, SignalKind.WIND, SignalKind.PV)
"""Prices are published once, for good. None of these is ever negative."""
WEIGHED = "weighed"

_DAY = pd.Timedelta(days=1)
_LATEST_DAYS = 2  # by which the newest day may lie before the day a forecast was published
AllWeights = Mapping[tuple[str, SignalKind], Weights]


def fitted_to_published(
    every: pd.DataFrame, now: datetime
) -> dict[tuple[str, SignalKind], Weights]:
    """Say of each signal how its forecasts are to be weighed; not of those that stand as published.

    Parameters
    ----------
    every
        Every value published by ``now`` of ``FITTED_OVER`` before it, and what came of those
        and ``NEEDS_BEFORE``: the columns of ``signals_frame``.
    """
    found = {}
    for signal, rows in by_signal(every, WEIGHED_KINDS):
        minutes = only_length(rows)
        if minutes is None:
            continue
        came = _came(rows)
        told = rows[~is_measured(rows) & (rows["start_at"] >= pd.Timestamp(now - FITTED_OVER))]
        starts, ages = pd.DatetimeIndex(told["start_at"]), _ages(told)
        newest = starts - pd.to_timedelta(ages + 1, unit="D")
        candidates = _candidates(told, came["value"], newest)
        # What was not known yet as the forecast was published is no rival of it.
        known_at = pd.DatetimeIndex(came["known_at"].reindex(newest))
        candidates[known_at > pd.DatetimeIndex(told["known_at"])] = np.nan
        intervals = np.asarray(starts.as_unit("s").asi8, dtype=np.int_)
        values = _at(came["value"], starts)
        weights = fitted_weights(candidates, values, ages, intervals, minutes)
        if weights is not None:
            found[signal] = weights
    return found


def weighed_by_days(frame: pd.DataFrame, known: pd.DataFrame, weights: AllWeights) -> pd.DataFrame:
    """Return ``frame`` with its forecasts weighed against what is ``known`` of earlier days.

    Each is weighed against the newest day before it; its source then says so.
    """
    result = with_origin(frame).reset_index(drop=True)
    known_of = dict(by_signal(known, WEIGHED_KINDS))
    for signal, rows in by_signal(result, WEIGHED_KINDS):
        if signal not in weights or signal not in known_of:
            continue
        if only_length(rows, known_of[signal]) != weights[signal].minutes:
            continue
        came = _came(known_of[signal])["value"]
        told = rows[~is_measured(rows)]
        if came.empty or told.empty:
            continue
        values = _weighed(told, came, weights[signal])
        result.loc[told.index, "value"] = values
        changed = told.index[values != told["value"].to_numpy(float)]
        result.loc[changed, "source"] = marked(result["source"][changed], WEIGHED)
    return result


def _weighed(told: pd.DataFrame, came: pd.Series[float], weights: Weights) -> Values:
    """Return forecasts weighed; as published where the newest day known is too old for it."""
    starts, ages, published = told["start_at"], _ages(told), told["value"].to_numpy(float)
    days = np.maximum(np.ceil((starts - came.index[-1]) / _DAY).to_numpy(int), 1)
    newest = pd.DatetimeIndex(starts) - pd.to_timedelta(days, unit="D")
    values = weighed(_candidates(told, came, newest), ages, weights)
    values = np.clip(values, 0.0, max(float(came.max()), float(published.max())))
    return np.where(days > ages + _LATEST_DAYS, published, values)


def _came(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what was measured, by interval start: its newest ``value``, first ``known_at``."""
    measured = rows[is_measured(rows)].sort_values(["start_at", "known_at"]).groupby("start_at")
    return measured.agg({"value": "last", "known_at": "first"})


def _ages(told: pd.DataFrame) -> Indices:
    """How many whole days before its interval each forecast was published."""
    before = (told["start_at"] - told["known_at"]).dt.total_seconds().to_numpy(float)
    return np.asarray(np.maximum(before // 86400, 0), dtype=np.int_)


def _candidates(told: pd.DataFrame, came: pd.Series[float], newest: pd.DatetimeIndex) -> Values:
    """Return [forecast, candidate]; ``newest``: begin of the same interval of the newest day."""
    week = np.array([_at(came, newest - j * _DAY) for j in range(WEEK_DAYS)])
    n_known = np.isfinite(week).sum(axis=0)
    mean = np.full(len(told), np.nan)
    np.divide(np.nansum(week, axis=0), n_known, out=mean, where=n_known > 0)
    return np.column_stack([told["value"].to_numpy(float), week[0], mean])


def _at(came: pd.Series[float], starts: pd.DatetimeIndex) -> Values:
    return np.asarray(came.reindex(starts), dtype=np.float64)
