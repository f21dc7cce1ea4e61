"""What the value measured last adds to a forecast that somebody issued hours ago."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmarks.forecast_data import FIRST, HOURS, ISSUES, Signal, Values, Zone
from scheduler.forecasting import History, corrected, fitted_decay

_SINCE_ISSUE_HOURS = (0, 6, 12, 18)
_AHEAD = {"hours 1-6": slice(0, 6), "hours 7-24": slice(6, 24), "hours 25-48": slice(24, 48)}
_LEARNED_HOURS = 60 * 24


def correction_table(signals: Sequence[tuple[Zone, Signal]]) -> str:
    """Write the error of issued forecasts as they stand, and corrected, at four times of day."""
    lines = [
        "Asked at 00, 06, 12 and 18 UTC: the newest issue as it stands, and pulled to the",
        "value of the hour before by what was left of such errors in the 60 days before. Mean",
        "absolute error, from the third day of issues on. Left is the share of an error that",
        "is left after 1 and 24 hours, fitted to all errors of the half year.",
        "",
        "| Zone | Signal | Left after 1 h, 24 h | " + " | ".join(_AHEAD) + " |",
        "| :--- | :--- | ---: |" + " ---: |" * len(_AHEAD),
    ]
    for zone, signal in signals:
        if signal.issued is not None:
            lines.append(_row(zone, signal))
    return "\n".join(lines)


def _row(zone: Zone, signal: Signal) -> str:
    issued = zone.as_issued(signal)
    came = zone.came(signal, FIRST, 24 * len(ISSUES) + HOURS)
    errors = came[: 24 * len(ISSUES)] - issued[:, :24].ravel()
    before, after = _errors(issued, came, errors, signal.traits.least)
    cells = []
    for ahead in _AHEAD.values():
        stands, pulled = _mean_error(before[:, ahead]), _mean_error(after[:, ahead])
        cells.append(f"{stands:.4g} → {pulled:.4g} ({100 * (pulled / stands - 1):+.0f} %)")
    decay = fitted_decay(History(FIRST, 60, errors), 24)
    left = "–" if decay is None else f"{decay.at(1):.2f}, {decay.at(24):.2f}"
    name = f"{signal.name} [{signal.unit}]"
    return "| " + " | ".join([zone.name, name, left, *cells]) + " |"


def _errors(issued: Values, came: Values, errors: Values, least: float) -> tuple[Values, Values]:
    """Return what is missed as it stands, and corrected [instant, hours ahead]."""
    before, after = [], []
    n_ahead = max(ahead.stop for ahead in _AHEAD.values())
    for day in range(2, len(ISSUES)):
        for since in _SINCE_ISSUE_HOURS:
            now = 24 * day + since
            stands = issued[day, since : since + n_ahead]
            truth = came[now : now + n_ahead]
            past = errors[max(0, now - _LEARNED_HOURS) : now]
            decay = fitted_decay(History(pd.Timestamp(0, tz="UTC"), 60, past), n_ahead)
            pulled = stands
            if decay is not None and np.isfinite(past[-1]):
                pulled = corrected(stands, float(past[-1]), 1, decay, least)
            before.append(stands - truth)
            after.append(pulled - truth)
    return np.array(before), np.array(after)


def _mean_error(missed: Values) -> float:
    return float(np.abs(missed[np.isfinite(missed)]).mean())
