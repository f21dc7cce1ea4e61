"""What a careful planner makes of what was published: corrected by what was measured since.

A published forecast is pulled to the value measured last (``services.corrected_signals``), as
production does; it may be weighed against a typical day as well, by how both did at this time of
day before (``forecasting.skill``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np
import pandas as pd

from connectors.types import SignalKind, Window
from scheduler.backtest.known import SignalHistory
from scheduler.backtest.policy import Knows
from scheduler.forecasting.quantiles import Values
from scheduler.forecasting.skill import fitted_skill
from scheduler.services.corrected_signals import HISTORY, corrected_by_measured, fitted_decays
from scheduler.services.signal_inputs import is_measured
from scheduler.services.window import PlanWindow

LOOK_BACK_DAYS = 28
TYPICAL_DAYS = 3
BLOCK = timedelta(hours=6)
WEIGHED = (SignalKind.CARBON_INTENSITY, SignalKind.WIND, SignalKind.PV)

_Signal = tuple[str, SignalKind]
_DAY = timedelta(days=1)


def corrected_as_known(history: SignalHistory) -> Knows:
    """Know what was published, its forecasts corrected by what was measured, as in production."""

    def knows(window: PlanWindow, now: datetime) -> pd.DataFrame:
        return _corrected(history, Window(window.start - HISTORY, window.end), now)

    return knows


def weighed_as_known(history: SignalHistory, horizon: timedelta) -> Knows:
    """Know that, and weigh it against a typical day; production does not.

    Parameters
    ----------
    horizon
        How far ahead forecasts are weighed: whole slots, windows are no longer.
    """

    @lru_cache(maxsize=16 * LOOK_BACK_DAYS)
    def corrected(start: datetime, now: datetime) -> pd.DataFrame:
        return _corrected(history, Window(start - HISTORY, start + horizon), now)

    @lru_cache(maxsize=16 * LOOK_BACK_DAYS)
    def told(start: datetime, now: datetime, minutes: int) -> Mapping[_Signal, _Told]:
        n_leads = horizon // timedelta(minutes=minutes)
        return _told(corrected(start, now), start, minutes, n_leads)

    def knows(window: PlanWindow, now: datetime) -> pd.DataFrame:
        frame = corrected(window.start, now).copy()
        issues = [
            told(window.start - days * _DAY, now - days * _DAY, window.slot_minutes)
            for days in range(LOOK_BACK_DAYS + 1)
        ]
        for signal, present in issues[0].items():
            past = [issue[signal] for issue in issues[1:] if signal in issue]
            weighed = _weighed(present, past, window)
            rows = frame[(frame["site"] == signal[0]) & (frame["kind"] == signal[1])]
            is_ahead = ~is_measured(rows) & rows["start_at"].isin(weighed.index)
            ahead = rows[is_ahead]
            frame.loc[ahead.index, "value"] = weighed.loc[ahead["start_at"]].to_numpy()
        return frame

    return knows


def _corrected(history: SignalHistory, span: Window, now: datetime) -> pd.DataFrame:
    known, expected = history.as_known(span, now), history.as_expected(span, now)
    return corrected_by_measured(known, expected, now, fitted_decays(known, expected, now))


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """One signal as one plan saw it: by lead, a typical day, and what was measured by then."""

    by_lead: Values
    typical: Values
    measured: pd.Series[float]


def _told(frame: pd.DataFrame, start: datetime, minutes: int, n_leads: int) -> dict[_Signal, _Told]:
    found = {}
    starts = pd.date_range(start, periods=n_leads, freq=pd.Timedelta(minutes=minutes))
    for kind in WEIGHED:
        for site, rows in frame[frame["kind"] == kind].groupby("site"):
            values = rows.set_index("start_at")["value"]
            measured = values[is_measured(rows).to_numpy()]
            ahead = values[~is_measured(rows).to_numpy()].reindex(starts).to_numpy(float)
            found[str(site), kind] = _Told(ahead, _typical(measured, starts), measured)
    return found


def _typical(measured: pd.Series[float], starts: pd.DatetimeIndex) -> Values:
    """Return the mean of the last days that are measured, at the same time of day; NaN: of none."""
    if measured.empty:
        return np.full(len(starts), np.nan)
    ahead = ((starts - measured.index[-1]) / pd.Timedelta(_DAY)).to_numpy(float)
    first = np.ceil(ahead - 1e-9).astype(int)
    days = [
        measured.reindex(starts - pd.to_timedelta(first + more, unit="D")).to_numpy(float)
        for more in range(TYPICAL_DAYS)
    ]
    known = np.isfinite(days)
    n_known = known.sum(axis=0)
    total = np.where(known, days, 0.0).sum(axis=0)
    return np.where(n_known > 0, total / np.maximum(n_known, 1), np.nan)


def _weighed(present: _Told, past: list[_Told], window: PlanWindow) -> pd.Series[float]:
    """Return (K1) for each lead that was told; as it was where nobody can say."""
    n_leads = len(present.by_lead)
    starts = pd.date_range(window.start, periods=n_leads, freq=pd.Timedelta(window.slot))
    came = np.array(
        [
            present.measured.reindex(starts - days * pd.Timedelta(_DAY)).to_numpy(float)
            for days in range(1, len(past) + 1)
        ]
    ).reshape(len(past), n_leads)
    told = np.array([it.by_lead for it in past]).reshape(len(past), n_leads)
    typical = np.array([it.typical for it in past]).reshape(len(past), n_leads)
    skill = fitted_skill(told, typical, came, BLOCK // window.slot)
    values = skill.applied(present.by_lead, present.typical)
    is_dark = (present.by_lead <= 0.0) & (present.typical <= 0.0)  # no sun: no offset either
    values = np.where(is_dark, 0.0, np.maximum(values, 0.0))
    return pd.Series(values, index=starts)[np.isfinite(present.by_lead)]
