"""What plans make of forecasts that somebody issued hours ago, by the code that plans run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from benchmarks.forecast_data import FIRST, ISSUES, Signal, Values, Zone
from connectors.types import SignalKind, Window
from scheduler.backtest.foresight import bettered_as_known
from scheduler.backtest.known import SignalHistory
from scheduler.services.window import PlanWindow

_KINDS: Mapping[str, SignalKind] = {
    "ci_lifecycle": SignalKind.CARBON_INTENSITY,
    "ci_direct": SignalKind.CARBON_INTENSITY,
    "wind_mw": SignalKind.WIND,
    "solar_mw": SignalKind.PV,
}
_HOUR = pd.Timedelta(hours=1)
_EVERY_DAYS = 3
_FIRST_DAY = 12  # the first at which ten days of forecasts can be looked back at
_SINCE_ISSUE_HOURS = (0, 6, 12, 18)
_AHEAD = {
    "hours 1-6": slice(0, 6),
    "hours 7-24": slice(6, 24),
    "hours 25-48": slice(24, 48),
    "hours 49-72": slice(48, 72),
}
_N_AHEAD = 72  # the last hour of an issue that is 18 hours old is further than that


def bettering_table(signals: Sequence[tuple[Zone, Signal]]) -> str:
    """Write the error of issued forecasts as they stand, and as plans take them."""
    lines = [
        "Asked at 00, 06, 12 and 18 UTC of every third day: the newest issue as it stands, and as",
        "plans take it, weighed against earlier days and pulled to what was measured last, by fits",
        "to the 28 days before. Mean absolute error, from the thirteenth day of issues on.",
        "",
        "| Zone | Signal | " + " | ".join(_AHEAD) + " |",
        "| :--- | :--- |" + " ---: |" * len(_AHEAD),
    ]
    lines += [_row(zone, signal) for zone, signal in signals if signal.issued is not None]
    return "\n".join(lines)


def _row(zone: Zone, signal: Signal) -> str:
    missed = np.array(list(_missed(zone, signal)))  # [instant, way, hour ahead]
    cells = []
    for ahead in _AHEAD.values():
        of_both = missed[:, :, ahead]
        stands, taken = np.nanmean(np.abs(of_both), axis=(0, 2))
        cells.append(f"{stands:.4g} → {taken:.4g} ({100 * (taken / stands - 1):+.0f} %)")
    return "| " + " | ".join([zone.name, f"{signal.name} [{signal.unit}]", *cells]) + " |"


def _missed(zone: Zone, signal: Signal) -> Iterator[Values]:
    """Yield what is missed as it stands and as plans take it [way, hour ahead], by instant."""
    history = _history(zone, signal)
    taken = bettered_as_known(history)
    for day in range(_FIRST_DAY, len(ISSUES), _EVERY_DAYS):
        for since in _SINCE_ISSUE_HOURS:
            now = (FIRST + pd.Timedelta(days=day, hours=since)).to_pydatetime()
            window = PlanWindow(now, 60, _N_AHEAD)
            stands = history.as_known(Window(window.start, window.end), now)
            came = zone.came(signal, pd.Timestamp(now), _N_AHEAD)
            yield np.array([_ahead(frame, window) - came for frame in (stands, taken(window, now))])


def _history(zone: Zone, signal: Signal) -> SignalHistory:
    """Return what was measured, known at its end, and what was issued, known at 00:00 UTC."""
    since = FIRST - pd.Timedelta(days=56)
    measured = zone.hourly[signal.column].dropna().clip(lower=0.0)
    measured = measured[measured.index >= since]
    came = pd.DataFrame(
        {
            "start_at": measured.index,
            "value": measured.to_numpy(float),
        }
    )
    came["known_at"] = came["start_at"] + _HOUR
    rows = zone.issued.dropna(subset=[signal.issued])
    rows = rows[rows["valid_utc"] >= rows["issue_utc"]]
    told = pd.DataFrame(
        {
            "start_at": rows["valid_utc"],
            "value": rows[signal.issued].to_numpy(float).clip(min=0.0),
            "known_at": rows["issue_utc"],
        }
    )
    whole = pd.concat([came, told], ignore_index=True)
    return SignalHistory.of(whole.assign(site=zone.name, kind=_KINDS[signal.column], minutes=60))


def _ahead(frame: pd.DataFrame, window: PlanWindow) -> Values:
    grid = pd.date_range(window.start, periods=_N_AHEAD, freq=_HOUR)
    return np.asarray(frame.set_index("start_at")["value"].reindex(grid), dtype=np.float64)
