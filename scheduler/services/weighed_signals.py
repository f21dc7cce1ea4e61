"""Published forecasts weighed against earlier days, as far as those missed less.

Pure: what is known now and what was published before go in, what to plan with comes out. See
``forecasting.weigh`` for the rule. What was measured stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from connectors.types import SignalKind
from scheduler.forecasting import Weights, fitted_weights, weighed
from scheduler.forecasting.quantiles import Indices, Values
from scheduler.forecasting.weigh import WEEK_DAYS
from scheduler.services.signal_inputs import is_measured, marked, only_length, with_origin

WEIGHED_OVER = timedelta(days=28)
"""How far back published forecasts are held against what came."""
NEEDS_BEFORE = timedelta(days=WEEK_DAYS + 1)
"""So long before a forecast the signal itself must be known."""
WEIGHED_KINDS = (SignalKind.CARBON_INTENSITY, SignalKind.WIND, SignalKind.PV)
"""Prices are published once, for good. None of these is ever negative."""
WEIGHED = "weighed"

_DAY = pd.Timedelta(days=1)
AllWeights = Mapping[tuple[str, SignalKind], Weights]


def fitted_to_published(
    every: pd.DataFrame, now: datetime
) -> dict[tuple[str, SignalKind], Weights]:
    """Say of each signal how its forecasts are to be weighed; not of those that stand as published.

    Parameters
    ----------
    every
        Every value published by ``now`` of ``WEIGHED_OVER`` before it, and what came of those
        and ``NEEDS_BEFORE``: the columns of ``signals_frame``.
    """
    found = {}
    for signal, rows in _signals(every):
        if only_length(rows) is None:
            continue
        came = _came(rows)
        told = rows[~is_measured(rows) & (rows["start_at"] >= pd.Timestamp(now - WEIGHED_OVER))]
        ages = _ages(told)
        # The day before it was published is the newest that was known then.
        candidates = _candidates(told, came, ages + 1)
        weights = fitted_weights(candidates, _at(came, told["start_at"]), ages)
        if weights is not None:
            found[signal] = weights
    return found


def weighed_by_days(frame: pd.DataFrame, known: pd.DataFrame, weights: AllWeights) -> pd.DataFrame:
    """Return ``frame`` with its forecasts weighed against what is ``known`` of earlier days.

    Each is weighed against the newest day before it; its source then says so.
    """
    result = with_origin(frame).reset_index(drop=True)
    by_signal = dict(_signals(known))
    for signal, rows in _signals(result):
        if signal not in weights or signal not in by_signal:
            continue
        came = _came(by_signal[signal])
        told = rows[~is_measured(rows)]
        if came.empty or told.empty:
            continue
        days = np.ceil((told["start_at"] - came.index[-1]) / _DAY).to_numpy(int)
        candidates = _candidates(told, came, np.maximum(days, 1))
        values = weighed(candidates, _ages(told), weights[signal])
        highest = max(float(came.max()), float(told["value"].max()))
        values = np.clip(values, 0.0, highest)
        result.loc[told.index, "value"] = values
        changed = told.index[values != told["value"].to_numpy(float)]
        result.loc[changed, "source"] = marked(result["source"][changed], WEIGHED)
    return result


def _signals(frame: pd.DataFrame) -> Iterator[tuple[tuple[str, SignalKind], pd.DataFrame]]:
    of_kinds = frame[frame["kind"].isin(WEIGHED_KINDS)]
    for (site, kind), rows in of_kinds.groupby(["site", "kind"], sort=False):
        yield (str(site), SignalKind(str(kind))), rows


def _came(rows: pd.DataFrame) -> pd.Series[float]:
    """Return what was measured, by interval start."""
    newest = rows[is_measured(rows)].sort_values(["start_at", "known_at"])
    return newest.drop_duplicates("start_at", keep="last").set_index("start_at")["value"]


def _ages(told: pd.DataFrame) -> Indices:
    """How many whole days before its interval each forecast was published."""
    before = (told["start_at"] - told["known_at"]).dt.total_seconds().to_numpy(float)
    return np.asarray(np.maximum(before // 86400, 0), dtype=np.int_)


def _candidates(told: pd.DataFrame, came: pd.Series[float], days: Indices) -> Values:
    """Return [forecast, candidate]; ``days``: before each forecast lies the newest day known."""
    newest = pd.DatetimeIndex(told["start_at"]) - pd.to_timedelta(days, unit="D")
    week = np.array([_at(came, newest - j * _DAY) for j in range(WEEK_DAYS)])
    n_known = np.isfinite(week).sum(axis=0)
    mean = np.full(len(told), np.nan)
    np.divide(np.nansum(week, axis=0), n_known, out=mean, where=n_known > 0)
    return np.column_stack([told["value"].to_numpy(float), week[0], mean])


def _at(came: pd.Series[float], starts: pd.Series[pd.Timestamp] | pd.DatetimeIndex) -> Values:
    return np.asarray(came.reindex(pd.DatetimeIndex(starts)), dtype=np.float64)
