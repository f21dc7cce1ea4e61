"""Published forecasts pulled to what was measured since, as far as their errors last.

Pure: what is known now and what had been expected of the past go in, what to plan with comes out.
See ``forecasting.correct`` for the rule. What was measured stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import pandas as pd

from connectors.types import SignalKind
from scheduler.forecasting import Decay, History, fitted_decay
from scheduler.services.signal_inputs import (
    FITTED_OVER,
    by_signal,
    is_measured,
    marked,
    only_length,
    with_origin,
)

LONGEST = timedelta(hours=48)
"""Nothing is pulled later than this, nor by an error older than this."""
LEAST: Mapping[SignalKind, float] = {SignalKind.CARBON_INTENSITY: 0.0, SignalKind.WIND: 0.0}
"""Kinds whose errors last, and the least value of each. PV is not: at night no error is left."""
CORRECTED = "corrected"

Decays = Mapping[tuple[str, SignalKind], Decay]


def fitted_decays(known: pd.DataFrame, expected: pd.DataFrame, now: datetime) -> Decays:
    """Say of each signal how much of an error of its forecasts lasts; not of those nobody can tell.

    Parameters
    ----------
    known
        What is known at ``now``, as of ``signals_frame``, of ``FITTED_OVER`` before it.
    expected
        Of intervals that began by then, what was known as each began.
    """
    found = {}
    told = dict(by_signal(expected, LEAST))
    for signal, rows in by_signal(known, LEAST):
        was = told.get(signal, expected.iloc[:0])
        minutes = only_length(rows, was)
        if minutes is None:
            continue
        errors = _errors(rows[is_measured(rows)], was, now - FITTED_OVER)
        if errors.empty:
            continue
        n_leads = LONGEST // timedelta(minutes=minutes)
        decay = fitted_decay(History.of_series(errors, minutes), n_leads)
        if decay is not None:
            found[signal] = decay
    return found


def corrected_by_measured(
    known: pd.DataFrame, expected: pd.DataFrame, now: datetime, decays: Decays
) -> pd.DataFrame:
    """Return ``known`` with the forecasts in it corrected, which their source then says.

    Parameters
    ----------
    known, expected
        As for ``fitted_decays``; of ``LONGEST`` before ``now`` is enough, and what follows.
    """
    frame = with_origin(known).reset_index(drop=True)
    told = dict(by_signal(expected, LEAST))
    for signal, rows in by_signal(frame, LEAST):
        if signal not in decays:
            continue
        was = told.get(signal, expected.iloc[:0])
        pulled = _pulled(rows, was, signal[1], now, decays[signal])
        frame.loc[pulled.index, "value"] = pulled
        frame.loc[pulled.index, "source"] = marked(frame["source"][pulled.index], CORRECTED)
    return frame


def _pulled(
    rows: pd.DataFrame, was: pd.DataFrame, kind: SignalKind, now: datetime, decay: Decay
) -> pd.Series[float]:
    """Return the corrected values of the rows that are forecasts; of none where nothing is."""
    if only_length(rows, was) != decay.minutes:
        return rows["value"].iloc[:0]
    came = is_measured(rows)
    errors = _errors(rows[came], was, now - LONGEST)
    if errors.empty:
        return rows["value"].iloc[:0]
    step = pd.Timedelta(minutes=decay.minutes)
    leads = (rows["start_at"][~came] - errors.index[-1]) / step
    later = leads[(leads > 0) & (leads <= len(decay.left))]
    left = pd.Series([decay.at(round(lead)) for lead in later], index=later.index, dtype=float)
    pull = left * float(errors.iloc[-1])
    pulled: pd.Series[float] = (rows["value"][later.index] + pull).clip(lower=LEAST[kind])
    return pulled


def _errors(measured: pd.DataFrame, was: pd.DataFrame, since: datetime) -> pd.Series[float]:
    """Return what came less what had been expected of it, by interval start."""
    came = measured.set_index("start_at")["value"]
    expected = was.set_index("start_at")["value"]
    errors = (came - expected).dropna().sort_index()
    return errors[errors.index >= pd.Timestamp(since)]
