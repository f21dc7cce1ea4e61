"""Forecasts of our own for signals that end before a plan's window does, or have gaps in it.

Pure: what was known goes in, forecasts come out. They stand beside what is published as rows with
a ``source`` of their own, behind whatever is published of the same interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from connectors.types import SignalKind
from scheduler.forecasting import (
    BASE_LOAD,
    CARBON,
    PRICE,
    PV,
    WIND,
    History,
    QuantileForecast,
    TooLittleHistory,
    Traits,
    blend,
    known_history,
    seasonal_naive,
)
from scheduler.forecasting.boosted import BoostedModel, boosted
from scheduler.forecasting.drivers import Driver
from scheduler.services.signal_inputs import FORECAST_PREFIX, is_own_forecast, with_origin
from scheduler.services.window import PlanWindow
from scheduler.specs import FleetSpec, ForecastMethod, MarginsSpec
from scheduler.specs.fleet import SiteSpec

HISTORY_DAYS = 90
MOST_SILENT = timedelta(days=7)
"""Nothing is forecast further than this from the last value that is known."""
LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Quantiles that are kept: what margins are read from."""

DRIVER_KINDS = (
    SignalKind.ZONE_WIND_FORECAST,
    SignalKind.ZONE_SOLAR_FORECAST,
    SignalKind.ZONE_LOAD_FORECAST,
)
"""What a boosted model may be driven by, where somebody publishes it for the zone of a site."""

_FINE_MINUTES = 5
_MEDIAN = 0.5

_TRAITS: Mapping[SignalKind, Traits] = {
    SignalKind.PRICE: PRICE,
    SignalKind.EXPORT_PRICE: PRICE,
    SignalKind.CARBON_INTENSITY: CARBON,
    SignalKind.PV: PV,
    SignalKind.WIND: WIND,
    SignalKind.BASE_LOAD: BASE_LOAD,
    SignalKind.PUE: Traits(least=1.0),
}


@dataclass(frozen=True, slots=True)
class ShortSignal:
    """A signal without values from ``start_at`` on, somewhere before ``end_at``."""

    site: str
    kind: SignalKind
    start_at: datetime
    end_at: datetime
    minutes: int


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A boosted model, and the kinds of signals that drive it, in their order."""

    fitted: BoostedModel
    driven_by: tuple[SignalKind, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Helped:
    """What helps a forecast beyond its signal's own history: a model, and what drives it now."""

    model: Model
    drivers: Mapping[SignalKind, pd.DataFrame]


@dataclass(frozen=True, slots=True, eq=False)
class IssuedForecast:
    """A forecast of one signal of one site; a short history may forbid the method asked for."""

    site: str
    kind: SignalKind
    asked: ForecastMethod
    forecast: QuantileForecast


def short_signals(
    fleet: FleetSpec, signals: pd.DataFrame, window: PlanWindow, now: datetime
) -> tuple[ShortSignal, ...]:
    """Return the signals a plan needs that are not published for all of its window.

    Parameters
    ----------
    signals
        As ``assemble`` takes them: of the window and the week before it.
    """
    if fleet.planning.forecast is ForecastMethod.NONE:
        return ()
    by_signal = _by_signal(signals)
    short = []
    for site in fleet.sites:
        for kind in _needed(site, by_signal):
            rows = by_signal.get((site.name, kind), signals.iloc[:0])
            slot = _first_missing(rows, window, now)
            if slot is not None:
                start = window.instant(slot)
                short.append(ShortSignal(site.name, kind, start, window.end, window.slot_minutes))
    return tuple(short)


def issue(
    short: ShortSignal,
    history: pd.DataFrame,
    method: ForecastMethod,
    now: datetime,
    helped: Helped | None = None,
) -> IssuedForecast | None:
    """Forecast from what is published and known at ``now``; None where that is too little.

    It ends a week after the last value that is known, whatever is asked for.

    Parameters
    ----------
    history
        Columns start_at, minutes, value, known_at, and source where somebody says; of this signal
        alone, ``HISTORY_DAYS`` back.
    helped
        For the boosted method; without it that is the blend.
    """
    start, issued_at = pd.Timestamp(short.start_at), pd.Timestamp(now)
    published = history[~is_own_forecast(with_origin(history)["source"])]
    known = known_history(published, issued_at, start, short.minutes, HISTORY_DAYS)
    end = min(pd.Timestamp(short.end_at), known.before(start).end_at + MOST_SILENT)
    n_intervals = (end - start) // pd.Timedelta(minutes=short.minutes)
    if n_intervals <= 0:
        return None
    try:
        made = _forecast(known, short, method, issued_at, n_intervals, helped)
    except TooLittleHistory:
        return None
    return IssuedForecast(short.site, short.kind, method, made)


def _forecast(
    known: History,
    short: ShortSignal,
    method: ForecastMethod,
    issued_at: pd.Timestamp,
    n_intervals: int,
    helped: Helped | None,
) -> QuantileForecast:
    start_at = pd.Timestamp(short.start_at)
    if method is ForecastMethod.BOOSTED and helped is not None:
        return boosted(
            helped.model.fitted,
            known,
            traits_of(short.kind),
            issued_at=issued_at,
            start_at=start_at,
            n_intervals=n_intervals,
            drivers=[
                driver_of(helped.drivers.get(kind), short.minutes, issued_at)
                for kind in helped.model.driven_by
            ],
        )
    make = seasonal_naive if method is ForecastMethod.SEASONAL_NAIVE else blend
    return make(
        known,
        traits_of(short.kind),
        issued_at=issued_at,
        start_at=start_at,
        n_intervals=n_intervals,
        levels=LEVELS,
    )


def traits_of(kind: SignalKind) -> Traits:
    """Return how a kind of signal behaves."""
    return _TRAITS[kind]


def driver_of(rows: pd.DataFrame | None, minutes: int, known_by: pd.Timestamp) -> Driver:
    """Return a driver from all that was published of it by an instant; a silent one where nothing.

    Coarse values are held; of fine ones the first of each interval stands for it.
    """
    silent = Driver(known_by, minutes, np.array([0]), np.full((1, 1), np.nan))
    if rows is None:
        return silent
    known = rows[rows["known_at"] <= known_by].reset_index(drop=True)
    pieces = np.maximum(known["minutes"].to_numpy(int) // minutes, 1)
    spread = known.loc[known.index.repeat(pieces), ["known_at", "start_at", "value"]]
    later = np.arange(len(spread)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    starts = spread["start_at"] + pd.to_timedelta(later * minutes, unit="min")
    on_grid = (starts == starts.dt.floor(pd.Timedelta(minutes=minutes))).to_numpy()
    laid = spread.assign(start_at=starts)[on_grid]
    return silent if laid.empty else Driver.of_rows(laid, minutes)


def forecast_rows(
    issued: Sequence[IssuedForecast], margins: MarginsSpec, window: PlanWindow
) -> pd.DataFrame:
    """Return forecasts as rows of signals, at the quantiles that are planned with.

    Only what lies in the window: earlier days are filled from what was published.
    """
    frames = []
    for one in issued:
        starts, level = one.forecast.starts, planned_level(one.kind, margins)
        inside = (starts >= pd.Timestamp(window.start)) & (starts < pd.Timestamp(window.end))
        frames.append(
            pd.DataFrame(
                {
                    "site": one.site,
                    "kind": one.kind,
                    "start_at": starts[inside],
                    "minutes": one.forecast.minutes,
                    "value": one.forecast.at(level)[inside],
                    "known_at": one.forecast.issued_at,
                    "source": source_name(one.forecast.method, level),
                }
            )
        )
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def with_own_forecasts(
    fleet: FleetSpec, signals: pd.DataFrame, window: PlanWindow, now: datetime
) -> pd.DataFrame:
    """Return ``signals`` with forecasts of what they lack, made from these very signals.

    For files and replays, where a frame holds all of the history there is.
    """
    method, by_signal = fleet.planning.forecast, _by_signal(signals)
    issued = [
        issue(one, by_signal[one.site, one.kind], method, now)
        for one in short_signals(fleet, signals, window, now)
        if (one.site, one.kind) in by_signal
    ]
    made = [one for one in issued if one is not None]
    return with_rows(signals, forecast_rows(made, fleet.planning.margins, window))


def with_rows(signals: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return ``signals`` with ``rows`` of forecasts behind them."""
    return pd.concat([with_origin(signals), with_origin(rows)]) if len(rows) else signals


def planned_level(kind: SignalKind, margins: MarginsSpec) -> float:
    """Return which quantile of a forecast is planned with."""
    levels = {
        SignalKind.PV: margins.pv,
        SignalKind.WIND: margins.wind,
        SignalKind.BASE_LOAD: margins.base_load,
    }
    return levels.get(kind, _MEDIAN)


def source_name(method: str, level: float) -> str:
    """Name where a value comes from: the method, and the quantile unless it is the median."""
    return f"{FORECAST_PREFIX}{method}" + ("" if level == _MEDIAN else f" P{100 * level:g}")


def _needed(
    site: SiteSpec, by_signal: Mapping[tuple[str, SignalKind], pd.DataFrame]
) -> list[SignalKind]:
    """Return the kinds a plan cannot do without, and those that somebody has ever given."""
    kinds = [SignalKind.PRICE, SignalKind.CARBON_INTENSITY]
    kinds += [SignalKind.PV] * site.has_pv + [SignalKind.WIND] * site.has_wind
    may_be_given = (SignalKind.EXPORT_PRICE, SignalKind.BASE_LOAD, SignalKind.PUE)
    return kinds + [kind for kind in may_be_given if (site.name, kind) in by_signal]


def _by_signal(signals: pd.DataFrame) -> dict[tuple[str, SignalKind], pd.DataFrame]:
    groups = signals.groupby(["site", "kind"], sort=False)
    return {(str(site), SignalKind(str(kind))): rows for (site, kind), rows in groups}


def _first_missing(rows: pd.DataFrame, window: PlanWindow, now: datetime) -> int | None:
    """Return the first slot of which any part is not published."""
    published = rows[~is_own_forecast(with_origin(rows)["source"])]
    steps_per_slot = window.slot_minutes // _FINE_MINUTES
    n_steps = window.n_slots * steps_per_slot
    days = -(-n_steps * _FINE_MINUTES // (24 * 60))
    end = pd.Timestamp(window.end)
    fine = known_history(published, pd.Timestamp(now), end, _FINE_MINUTES, days).values[-n_steps:]
    missing = np.flatnonzero(np.isnan(fine))
    return int(missing[0]) // steps_per_slot if len(missing) else None
