r"""Seasonal-naive: what was there one season ago, and how far that was off before.

.. math::
    \hat y_{o+l} = y_{o+l-s \lceil (l+1)/s \rceil}     \tag{N1}

for origin o (the first interval not known), lead l = 0, 1, ... and season s; its quantiles are
those of ``spread`` (Q2). Always there: a day of history is enough, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from scheduler.forecasting.history import History
from scheduler.forecasting.quantiles import (
    LEVELS,
    Indices,
    QuantileForecast,
    TooLittleHistory,
    Values,
)
from scheduler.forecasting.spread import Past, residual_quantiles
from scheduler.forecasting.traits import Traits, bounded

METHOD = "seasonal-naive"
_DAY_HOURS = 24
_FEWEST_HOURS = 24


@dataclass(frozen=True, slots=True, eq=False)
class Ahead:
    """What is known before a forecast begins, and how far ahead of it each interval lies.

    Attributes
    ----------
    season, notes
        In intervals, and a note where the history is too short for that of the signal.
    filled
        The known values without gaps.
    first
        Index of the first interval of the forecast, counted as those of ``known``.
    """

    known: History
    season: int
    notes: tuple[str, ...]
    filled: Values
    first: int
    leads: Indices

    @classmethod
    def of(cls, history: History, traits: Traits, start_at: pd.Timestamp, n_intervals: int) -> Self:
        """Look at no value at ``start_at`` or later; raises ``TooLittleHistory``."""
        known = history.before(start_at)
        _require_a_day(known)
        season, notes = season_steps(known, traits)
        filled = filled_by_season(known.values, season, known.steps_per_day)
        first = known.index_of(start_at)
        leads = first - len(known.values) + np.arange(n_intervals)
        return cls(known, season, notes, filled, first, leads)

    @property
    def origins(self) -> Indices:
        """The one origin: the first interval not known."""
        return np.array([len(self.known.values)])


def seasonal_naive(
    history: History,
    traits: Traits,
    *,
    issued_at: pd.Timestamp,
    start_at: pd.Timestamp,
    n_intervals: int,
    levels: tuple[float, ...] = LEVELS,
) -> QuantileForecast:
    """Forecast ``n_intervals`` from ``start_at`` on, in the resolution of the history.

    Parameters
    ----------
    history
        As known at ``issued_at``; what lies at ``start_at`` or later is not looked at.

    Raises
    ------
    TooLittleHistory
        Less than a day is known before ``start_at``.
    """
    ahead = Ahead.of(history, traits, start_at, n_intervals)
    known, notes = ahead.known, ahead.notes

    def points_at(origins: Indices, leads: Indices) -> Values:
        return seasonal_points(ahead.filled, origins, leads, ahead.season)

    past = Past(known.values, points_at, known.steps_per_day, earliest=ahead.season)
    offsets = residual_quantiles(past, ahead.leads, levels)
    if offsets is None:
        offsets = _spread_of_a_day(known.values, levels, n_intervals)
        notes = (*notes, "its spread is that of the values themselves: no season to compare with")
    points = points_at(ahead.origins, ahead.leads)[0]
    values = bounded(points[:, None] + offsets, known, ahead.first, traits)
    return QuantileForecast(issued_at, start_at, history.minutes, levels, values, METHOD, notes)


def _require_a_day(known: History) -> None:
    """Raise ``TooLittleHistory`` unless a day is known, and half of it has values."""
    span_h = len(known.values) * known.minutes / 60
    known_h = int(np.isfinite(known.values).sum()) * known.minutes / 60
    if span_h < _FEWEST_HOURS or known_h < _FEWEST_HOURS / 2:
        raise TooLittleHistory(
            f"history: {known_h:g} h of values within {span_h:g} h,"
            f" must be at least {_FEWEST_HOURS / 2:g} h within {_FEWEST_HOURS} h"
        )


def season_steps(known: History, traits: Traits) -> tuple[int, tuple[str, ...]]:
    """Return the season in intervals, a day where the history is too short, and a note of that."""
    per_hour = 60 // known.minutes
    season = traits.season_hours * per_hour
    if season <= len(known.values):
        return season, ()
    hours = len(known.values) * known.minutes / 60
    note = f"only {hours:.0f} h of history: a day is its season, not {traits.season_hours} h"
    return _DAY_HOURS * per_hour, (note,)


def filled_by_season(values: Values, season: int, day: int) -> Values:
    """Fill gaps from a season earlier, else from a day earlier, else with the value before.

    Never from later values. The first value is one.
    """
    filled = values.copy()
    for back in (season, day):
        for index in np.flatnonzero(np.isnan(filled)):
            if index >= back:
                filled[index] = filled[index - back]
    return np.asarray(pd.Series(filled).ffill(), dtype=float)


def seasonal_points(filled: Values, origins: Indices, leads: Indices, season: int) -> Values:
    """Return (N1) at [origin, lead]; every origin must have a season before it."""
    back = season * (leads // season + 1)
    return np.asarray(filled[origins[:, None] + leads[None, :] - back[None, :]])


def _spread_of_a_day(values: Values, levels: tuple[float, ...], n_intervals: int) -> Values:
    """Quantiles of the values about their own median, the same for every interval."""
    finite = values[np.isfinite(values)]
    return np.tile(np.quantile(finite - np.median(finite), levels), (n_intervals, 1))
