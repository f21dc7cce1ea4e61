"""Gradient-boosted quantiles of what the blend misses, used where they miss less than it does.

One model for each level learns, over a year of past origins, what came less what the blend had
said, in units of recent change. The last eight weeks are held out: they shift each quantile so that
as many values lie below it as it says (conformal), and decide for each block of leads whether the
model is used. Where it is, the forecast is the mean of its quantiles and the blend's.

An optional extra: ``pip install 'gridtide[forecasts]'``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from scheduler.forecasting.blending import Pulled, blend, fitted, pulled_points
from scheduler.forecasting.drivers import Driver
from scheduler.forecasting.features import Seen, features, made_ready
from scheduler.forecasting.history import History
from scheduler.forecasting.quantiles import (
    Flags,
    Indices,
    QuantileForecast,
    TooLittleHistory,
    Values,
)
from scheduler.forecasting.seasonal import filled_by_season, season_steps
from scheduler.forecasting.traits import DARK_SHARE, Traits, bounded

METHOD = "boosted"
MODEL_LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
HELD_OUT_DAYS = 56
BLOCK_STARTS_HOURS = (0, 6, 24, 48, 72)
FEWEST_DAYS = 150  # of history that a model is fitted to
FEWEST_SAMPLES = 1000  # that it learns from, and that it is checked with

_SPACING_HOURS = 11  # between origins: they come to every hour of the day
_WARM_UP_DAYS = 29  # before the first origin: four weeks that are averaged, and an error before
_TREES = 80
_LEAST_BY_LEAD = 1e-3  # of the most that is missed at any lead
_MEDIAN = MODEL_LEVELS.index(0.5)


class MissingExtra(RuntimeError):
    """The optional extra is not installed; the message says how to install it."""


@dataclass(frozen=True, slots=True, eq=False)
class BoostedModel:
    """A model as fitted.

    Attributes
    ----------
    pulled
        The blend whose misses it learned.
    n_leads
        Intervals ahead that it was fitted for.
    boosters
        One for each of ``MODEL_LEVELS``.
    by_lead
        How much is missed at each lead on the whole [lead], in units of recent change. What is
        learned is in units of this, or the far leads would drown the near ones.
    shifts
        [block, level], in units of ``by_lead``.
    is_used
        By block: whether it misses less than the blend on what was held out.
    fitted_at
        End of the history it was fitted to.
    """

    minutes: int
    pulled: Pulled
    n_leads: int
    n_drivers: int
    boosters: tuple[Any, ...]
    by_lead: Values
    shifts: Values
    is_used: Flags
    fitted_at: pd.Timestamp


def fit_boosted(
    history: History, traits: Traits, n_leads: int, drivers: Sequence[Driver] = ()
) -> BoostedModel:
    """Fit a model for ``n_leads`` intervals ahead to all of ``history``.

    Raises
    ------
    TooLittleHistory
        There are less than ``FEWEST_DAYS`` of it, or too many gaps or nights in them.
    MissingExtra
        LightGBM is not installed.
    """
    known = history.before(history.end_at)
    days = len(known.values) / known.steps_per_day
    if days < FEWEST_DAYS:
        raise TooLittleHistory(f"history: {days:.0f} days, must be at least {FEWEST_DAYS}")
    seen = _seen(known, traits, drivers)
    pulled = fitted(known, seen.filled, np.arange(n_leads))
    if pulled is None:
        raise TooLittleHistory("history: no day of values, must be at least one")
    leads = _sampled_leads(n_leads, seen.per_hour)
    held_out = len(known.values) - HELD_OUT_DAYS * known.steps_per_day
    learned = _samples(seen, pulled, traits, _origins(seen, 0, held_out), leads, held_out)
    checked = _samples(
        seen, pulled, traits, _origins(seen, held_out, len(known.values)), leads, len(known.values)
    )
    n_samples = min(len(learned.missed), len(checked.missed))
    if n_samples < FEWEST_SAMPLES:
        raise TooLittleHistory(f"history: {n_samples} samples, must be at least {FEWEST_SAMPLES}")
    by_lead = _missed_by_lead(learned, n_leads)
    boosters = tuple(_trained(learned, by_lead, level) for level in MODEL_LEVELS)
    shifts, is_used = _calibrated(checked, boosters, by_lead, seen.per_hour)
    return BoostedModel(
        minutes=known.minutes,
        pulled=pulled,
        n_leads=n_leads,
        n_drivers=len(drivers),
        boosters=boosters,
        by_lead=by_lead,
        shifts=shifts,
        is_used=is_used,
        fitted_at=known.end_at,
    )


def boosted(
    model: BoostedModel,
    history: History,
    traits: Traits,
    *,
    issued_at: pd.Timestamp,
    start_at: pd.Timestamp,
    n_intervals: int,
    drivers: Sequence[Driver] = (),
) -> QuantileForecast:
    """Forecast with a model and the blend, with the blend alone where that misses less.

    Parameters
    ----------
    drivers
        Those it was fitted with, in that order, as known at ``issued_at``.

    Raises
    ------
    TooLittleHistory
        Less than a day is known before ``start_at``.
    ValueError
        The model is of another resolution or other drivers.
    """
    _require_same(model, history, drivers)
    base = blend(
        history,
        traits,
        issued_at=issued_at,
        start_at=start_at,
        n_intervals=n_intervals,
        levels=MODEL_LEVELS,
    )
    known = history.before(start_at)
    first, origin = known.index_of(start_at), len(known.values)
    leads = first - origin + np.arange(n_intervals)
    block = _block_of(leads, 60 // known.minutes)
    is_modelled = (leads < model.n_leads) & model.is_used[block]
    if origin < _WARM_UP_DAYS * known.steps_per_day or not is_modelled.any():
        return base
    seen, origins, asked = _seen(known, traits, drivers), np.array([origin]), leads[is_modelled]
    found = _predicted(model.boosters, features(seen, model.pulled, origins, asked))
    found = np.sort(found + model.shifts[block[is_modelled]], axis=1)
    found *= seen.scale[origin] * model.by_lead[asked][:, None]
    points = pulled_points(seen.filled, model.pulled, origins, asked)[0]
    values = base.values.copy()
    # The mean of two forecasts that err in different ways is better than either.
    values[is_modelled] = (values[is_modelled] + points[:, None] + found) / 2
    values = bounded(values, known, first, traits)
    return replace(base, values=values, method=METHOD)


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """Features [sample, feature], what the blend missed by, the lead and the origin of each."""

    seen: Values
    missed: Values
    lead: Indices
    origin: Indices


def _seen(known: History, traits: Traits, drivers: Sequence[Driver]) -> Seen:
    season, _ = season_steps(known, traits)
    return made_ready(known, filled_by_season(known.values, season, known.steps_per_day), drivers)


def _require_same(model: BoostedModel, history: History, drivers: Sequence[Driver]) -> None:
    if history.minutes != model.minutes:
        raise ValueError(f"model: fitted to {model.minutes} minutes, history has {history.minutes}")
    if len(drivers) != model.n_drivers:
        raise ValueError(f"model: fitted with {model.n_drivers} drivers, given {len(drivers)}")


def _sampled_leads(n_leads: int, per_hour: int) -> Indices:
    """Every hour of the first half day, then every third; of finer intervals one of each hour."""
    hours = np.concatenate([np.arange(12), np.arange(12, -(-n_leads // per_hour), 3)])
    leads = hours * per_hour + np.arange(len(hours)) % per_hour
    return np.asarray(leads[leads < n_leads])


def _origins(seen: Seen, first: int, stop: int) -> Indices:
    earliest = max(first, _WARM_UP_DAYS * seen.known.steps_per_day)
    return np.arange(earliest, stop, _SPACING_HOURS * seen.per_hour)


def _samples(
    seen: Seen, pulled: Pulled, traits: Traits, origins: Indices, leads: Indices, stop: int
) -> _Samples:
    """Return samples whose value came before ``stop``; of what is dark at night, those of days."""
    targets = origins[:, None] + leads[None, :]
    inside = np.minimum(targets, len(seen.known.values) - 1)
    came = np.where(targets < stop, seen.known.values[inside], np.nan)
    points = pulled_points(seen.filled, pulled, origins, leads)
    missed = ((came - points) / seen.scale[origins][:, None]).ravel()
    is_known = np.isfinite(missed)
    if traits.is_dark_at_night:
        is_known &= points.ravel() > DARK_SHARE * np.nanmax(seen.known.values)
    everything = features(seen, pulled, origins, leads)
    lead = np.broadcast_to(leads, targets.shape).ravel()
    origin = np.broadcast_to(origins[:, None], targets.shape).ravel()
    return _Samples(everything[is_known], missed[is_known], lead[is_known], origin[is_known])


def _missed_by_lead(samples: _Samples, n_leads: int) -> Values:
    """Return the mean size of what the blend missed by [lead], linear between those sampled."""
    leads = np.unique(samples.lead)
    sizes = [float(np.abs(samples.missed[samples.lead == lead]).mean()) for lead in leads]
    least = max(_LEAST_BY_LEAD * max(sizes), float(np.finfo(float).tiny))
    return np.maximum(np.interp(np.arange(n_leads), leads, sizes), least)


def _trained(samples: _Samples, by_lead: Values, level: float) -> Any:
    """Train one quantile; the same samples give the same model."""
    try:
        import lightgbm  # noqa: PLC0415 - the extra is loaded where it is needed
    except ImportError as error:
        raise MissingExtra(
            "boosted forecasts need LightGBM: pip install 'gridtide[forecasts]'"
        ) from error
    options = {
        "objective": "quantile",
        "alpha": level,
        "num_leaves": 15,
        "learning_rate": 0.08,
        "min_data_in_leaf": 100,
        "feature_fraction": 0.8,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "seed": 0,
        "verbosity": -1,
    }
    missed = samples.missed / by_lead[samples.lead]
    data = lightgbm.Dataset(samples.seen, missed, params={"verbosity": -1})
    return lightgbm.train(options, data, _TREES)


def _predicted(boosters: Sequence[Any], seen: Values) -> Values:
    """Return what the boosters say [sample, level]."""
    return np.stack([np.asarray(one.predict(seen, num_threads=1)) for one in boosters], axis=1)


def _block_of(leads: Indices, per_hour: int) -> Indices:
    return np.searchsorted(BLOCK_STARTS_HOURS, leads // per_hour, side="right") - 1


def _calibrated(
    samples: _Samples, boosters: Sequence[Any], by_lead: Values, per_hour: int
) -> tuple[Values, Flags]:
    """Return shifts [block, level] from all that was held out, and whether each block is used.

    Which one misses less is told on every other week, with shifts from the weeks between.
    """
    n_blocks = len(BLOCK_STARTS_HOURS)
    predicted = _predicted(boosters, samples.seen)
    missed = samples.missed / by_lead[samples.lead]
    block = _block_of(samples.lead, per_hour)
    week = samples.origin // (7 * 24 * per_hour)
    shifts, is_used = np.zeros((n_blocks, len(MODEL_LEVELS))), np.zeros(n_blocks, dtype=bool)
    for index in range(n_blocks):
        inside = block == index
        if not inside.any():
            continue
        off = missed[inside][:, None] - predicted[inside]
        shifts[index] = _shift(off)
        parts = (week[inside] % 2 == 0, week[inside] % 2 == 1)
        own = _pinball_across(off, parts)
        blends = _pinball_across(np.tile(missed[inside][:, None], len(MODEL_LEVELS)), parts)
        is_used[index] = own < blends
    return shifts, is_used


def _shift(off: Values) -> Values:
    """Return by how much each level is too low for as many to lie below as it says [level]."""
    levels = zip(off.T, MODEL_LEVELS, strict=True)
    return np.array([np.quantile(column, level, method="weibull") for column, level in levels])


def _pinball_across(off: Values, parts: tuple[Flags, Flags]) -> float:
    """Return the mean pinball loss of each part with the shifts of the other."""
    losses = []
    for checked, shifted_by in (parts, parts[::-1]):
        if not checked.any() or not shifted_by.any():
            return np.inf
        rest = off[checked] - _shift(off[shifted_by])
        levels = np.array(MODEL_LEVELS)
        losses.append(np.maximum(levels * rest, (levels - 1) * rest).ravel())
    return float(np.concatenate(losses).mean())
