r"""Typical days, pulled to the value measured last, less and less with lead time.

.. math::
    b_{o,l} = \frac 1 n \sum_{k=0}^{n-1} y_{o+l-s(\lfloor l/s \rfloor + 1 + k)}   \tag{B1}
    e_o = y_{o-1} - b_{o-1,0}                                                     \tag{B2}
    \rho_l = \sum_o e_o (y_{o+l} - b_{o,l}) / \sum_o e_o^2                        \tag{B3}
    \hat y_{o+l} = \sum_b w_{b,l} (b_{o,l} + \rho_{b,l} e_{b,o})                  \tag{B4}

A base b is the mean of the last n seasons of s intervals: yesterday, the last three days, the last
four weeks... (B3) is the share of the last error that is left after l more intervals, from the past
of the signal itself, never rising with l. Weights w are larger the less a base missed by before,
for each day ahead on its own; a mean of several misses less than the one that seemed best.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from scheduler.forecasting.history import History
from scheduler.forecasting.quantiles import LEVELS, Indices, QuantileForecast, Values
from scheduler.forecasting.seasonal import Ahead, seasonal_naive
from scheduler.forecasting.spread import Past, all_origins, residual_quantiles, residuals_at
from scheduler.forecasting.traits import Traits, bounded

METHOD = "blend"
_COUNTS_OF_DAYS = (1, 3, 7, 14)
_COUNTS_OF_WEEKS = (1, 2, 4)
_FEWEST_ORIGINS_HOURS = 7 * 24  # that a season and its decay are chosen by
_SHARPNESS = 10  # power of the error that a base is weighed by
# What is missed later is so much wider than by the values that weights and decay were fitted to:
# set on the first half of 2021 of three zones, so that four fifths lie between P10 and P90.
_WIDTH = 1.15
_DAY_HOURS = 24
_WEEK_HOURS = 7 * 24


@dataclass(frozen=True, slots=True)
class Typical:
    """The mean of the last ``count`` seasons of ``season`` intervals each."""

    season: int
    count: int

    @property
    def earliest(self) -> int:
        """First origin with an error before it (B2)."""
        return self.season * self.count + 1


@dataclass(frozen=True, slots=True, eq=False)
class Pulled:
    """What (B4) needs for leads from ``first_lead`` on: weights and (B3), both [base, lead]."""

    first_lead: int
    bases: tuple[Typical, ...]
    weights: Values
    left: Values


def blend(
    history: History,
    traits: Traits,
    *,
    issued_at: pd.Timestamp,
    start_at: pd.Timestamp,
    n_intervals: int,
    levels: tuple[float, ...] = LEVELS,
) -> QuantileForecast:
    """Forecast ``n_intervals`` from ``start_at`` on, in the resolution of the history.

    Where the history is too short to choose by, the forecast is seasonal-naive, and says so.

    Raises
    ------
    TooLittleHistory
        Less than a day is known before ``start_at``.
    """
    ahead = Ahead.of(history, traits, start_at, n_intervals)
    known = ahead.known
    pulled = fitted(known, ahead.filled, ahead.leads)
    offsets = None
    if pulled is not None:
        past = _past(known, ahead.filled, pulled)
        offsets = residual_quantiles(past, ahead.leads, levels, width=_WIDTH)
    if pulled is None or offsets is None:
        made = seasonal_naive(
            history,
            traits,
            issued_at=issued_at,
            start_at=start_at,
            n_intervals=n_intervals,
            levels=levels,
        )
        note = (
            f"{len(known.values) * known.minutes / 60:.0f} h of history are too short to blend by"
        )
        return replace(made, notes=(*made.notes, note))
    points = pulled_points(ahead.filled, pulled, ahead.origins, ahead.leads)[0]
    values = bounded(points[:, None] + offsets, known, ahead.first, traits)
    return QuantileForecast(issued_at, start_at, history.minutes, levels, values, METHOD)


def last_error_left(last_errors: Values, residuals: Values) -> Values:
    """Return (B3): what is left of the last error at each lead, within [0, 1] and never rising.

    Parameters
    ----------
    last_errors
        By origin.
    residuals
        [origin, lead]; NaN where not known.
    """
    is_known = np.isfinite(residuals) & np.isfinite(last_errors)[:, None]
    errors = np.where(is_known, np.nan_to_num(last_errors)[:, None], 0.0)
    together = (errors * np.where(is_known, residuals, 0.0)).sum(axis=0)
    alone = (errors**2).sum(axis=0)
    left = np.zeros(len(alone))
    np.divide(together, alone, out=left, where=alone > 0)
    return np.minimum.accumulate(np.clip(left, 0.0, 1.0))


def _typical_days(known: History) -> tuple[Typical, ...]:
    """Return those that leave enough origins to be judged by."""
    per_hour = 60 // known.minutes
    days = [Typical(_DAY_HOURS * per_hour, count) for count in _COUNTS_OF_DAYS]
    weeks = [Typical(_WEEK_HOURS * per_hour, count) for count in _COUNTS_OF_WEEKS]
    longest = len(known.values) - _FEWEST_ORIGINS_HOURS * per_hour
    return tuple(base for base in (*days, *weeks) if base.earliest <= longest)


def fitted(known: History, filled: Values, leads: Indices) -> Pulled | None:
    """Weigh by mean absolute error over past origins, for each day ahead on its own."""
    bases = _typical_days(known)
    if not bases:
        return None
    earliest = max(base.earliest for base in bases)  # all are judged by the same origins
    tried = [_tried(known, filled, base, earliest, leads) for base in bases]
    weights = np.empty((len(bases), len(leads)))
    for first in range(0, len(leads), known.steps_per_day):
        day = slice(first, first + known.steps_per_day)
        weights[:, day] = _weights([_mean_error(missed[:, day]) for _, missed in tried])[:, None]
    return Pulled(int(leads[0]), bases, weights, np.array([left for left, _ in tried]))


def _weights(errors: list[float]) -> Values:
    """Weigh by a power of the error; alike where none is known."""
    known = np.array(errors)
    if not np.isfinite(known).all():
        return np.full(len(known), 1 / len(known))
    least = max(float(known.min()), float(np.finfo(float).tiny))
    weights = (least / np.maximum(known, least)) ** _SHARPNESS
    return np.asarray(weights / weights.sum())


def _tried(
    known: History, filled: Values, base: Typical, earliest: int, leads: Indices
) -> tuple[Values, Values]:
    """Return what is left of the last error by lead, and what is missed then [origin, lead]."""

    def points_at(origins: Indices, leads: Indices) -> Values:
        return typical_points(filled, base, origins, leads)

    past = Past(known.values, points_at, known.steps_per_day, earliest)
    origins = all_origins(past)
    residuals = residuals_at(past, origins, leads)
    errors = _last_errors(filled, base, origins)
    left = last_error_left(errors, residuals)
    return left, residuals - left[None, :] * errors[:, None]


def _mean_error(missed: Values) -> float:
    finite = missed[np.isfinite(missed)]
    return float(np.abs(finite).mean()) if len(finite) else np.inf


def _past(known: History, filled: Values, pulled: Pulled) -> Past:
    def points_at(origins: Indices, leads: Indices) -> Values:
        return pulled_points(filled, pulled, origins, leads)

    earliest = max(base.earliest for base in pulled.bases)
    return Past(known.values, points_at, known.steps_per_day, earliest)


def typical_points(filled: Values, base: Typical, origins: Indices, leads: Indices) -> Values:
    """Return (B1) at [origin, lead]."""
    targets = origins[:, None] + leads[None, :]
    back = base.season * (leads // base.season + 1)
    total = np.zeros(targets.shape)
    for season in range(base.count):
        total += filled[targets - back[None, :] - season * base.season]
    return total / base.count


def _last_errors(filled: Values, base: Typical, origins: Indices) -> Values:
    """Return (B2) by origin."""
    expected = typical_points(filled, base, origins - 1, np.array([0]))[:, 0]
    return np.asarray(filled[origins - 1] - expected)


def pulled_points(filled: Values, pulled: Pulled, origins: Indices, leads: Indices) -> Values:
    """Return (B4) at [origin, lead]."""
    position = leads - pulled.first_lead
    points = np.zeros((len(origins), len(leads)))
    for base, weights, left in zip(pulled.bases, pulled.weights, pulled.left, strict=True):
        errors = _last_errors(filled, base, origins)
        typical = typical_points(filled, base, origins, leads)
        points += weights[position] * (typical + left[position] * errors[:, None])
    return points
