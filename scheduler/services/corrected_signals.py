"""Published forecasts pulled to what was measured since, as far as their errors last.

Pure: what is known now and what had been expected of the past go in, what to plan with comes out.
See ``forecasting.correct`` for the rule. What was measured stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import pandas as pd

from connectors.types import SignalKind
from scheduler.forecasting import Decay, History, fitted_decay
from scheduler.services.signal_inputs import with_origin

HISTORY = timedelta(days=28)
"""How far back errors are looked at."""
LONGEST = timedelta(hours=48)
"""Nothing is pulled later than this."""
LEAST: Mapping[SignalKind, float] = {SignalKind.CARBON_INTENSITY: 0.0, SignalKind.WIND: 0.0}
"""Kinds whose errors last, and the least value of each. PV is not: at night no error is left."""


def corrected_by_measured(
    known: pd.DataFrame,
    expected: pd.DataFrame,
    now: datetime,
    kinds: Collection[SignalKind] = tuple(LEAST),
) -> pd.DataFrame:
    """Return ``known`` with the forecasts in it corrected.

    Parameters
    ----------
    known
        What is known at ``now``, as of ``signals_frame``; ``HISTORY`` before it and what follows.
    expected
        Of intervals that began by then, what was known as each began.
    """
    frame = with_origin(known).reset_index(drop=True)
    for site, kind in _signals(frame, kinds):
        rows = frame[(frame["site"] == site) & (frame["kind"] == kind)]
        was = expected[(expected["site"] == site) & (expected["kind"] == kind)]
        pulled = _pulled(rows, was, LEAST[kind], pd.Timestamp(now))
        if pulled is not None:
            frame.loc[pulled.index, "value"] = pulled
            frame.loc[pulled.index, "source"] += ", corrected"
    return frame


def _signals(frame: pd.DataFrame, kinds: Collection[SignalKind]) -> list[tuple[str, SignalKind]]:
    """Return the signals that are to be corrected."""
    pairs = frame[["site", "kind"]].drop_duplicates()
    return [(site, SignalKind(kind)) for site, kind in pairs.to_numpy() if kind in kinds]


def _pulled(
    rows: pd.DataFrame, was: pd.DataFrame, least: float, now: pd.Timestamp
) -> pd.Series[float] | None:
    """Return the corrected values of the rows that are forecasts; ``None`` where nothing is."""
    lengths = set(rows["minutes"]) | set(was["minutes"])
    if len(lengths) != 1:
        return None  # a forecast coarser than what is measured has no error of its own hours
    (minutes,) = lengths
    step = pd.Timedelta(minutes=minutes)
    is_measured = rows["known_at"] >= rows["start_at"] + step
    errors = _errors(rows[is_measured], was, now - HISTORY)
    if errors.empty:
        return None
    n_leads = LONGEST // timedelta(minutes=minutes)
    decay = fitted_decay(History.of_series(errors, minutes), n_leads)
    if decay is None:
        return None
    leads = (rows["start_at"][~is_measured] - errors.index[-1]) / step
    later = leads[(leads > 0) & (leads <= n_leads)]
    pull = _left(decay, later) * float(errors.iloc[-1])
    pulled: pd.Series[float] = (rows["value"][later.index] + pull).clip(lower=least)
    return pulled


def _errors(measured: pd.DataFrame, was: pd.DataFrame, since: pd.Timestamp) -> pd.Series[float]:
    """Return what came less what had been expected of it, by interval start."""
    came = measured.set_index("start_at")["value"]
    expected = was.set_index("start_at")["value"]
    errors = (came - expected).dropna().sort_index()
    return errors[errors.index >= since]


def _left(decay: Decay, leads: pd.Series[float]) -> pd.Series[float]:
    return pd.Series([decay.at(round(lead)) for lead in leads], index=leads.index, dtype=float)
