r"""A published forecast, weighed against what the signal was lately at the same time of day.

.. math::
    \hat y_t = w_{a1} f_t + w_{a2} y_{t-kd} + w_{a3} \tfrac 1 7 \sum_{j=0}^6 y_{t-(k+j)d}   \tag{W1}
    w_a = \arg\min_{w \ge 0} \sum_t (y_t - \hat y_t)^2                                      \tag{W2}

where f_t was published a days of 24 hours before t, d is a day, and the value of k days before t is
the newest of that time of day that is known. Errors of forecasts that know nothing of each other
cancel in part: Granger and Ramanathan, Improved methods of combining forecasts (1984).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from scheduler.forecasting.quantiles import Indices, Values

WEEK_DAYS = 7
_AS_PUBLISHED = (1.0, 0.0, 0.0)  # the newest day and the mean of a week do not count
_FEWEST_HOURS = 240  # of intervals that weights of an age are fitted to
_LEAST_GAIN = 0.05  # of the mean absolute error, below which a forecast is left as published
_OLDEST_DAYS = 7


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """How much each candidate counts, by age of the forecast in whole days: [age, candidate].

    They are of forecasts of intervals of so many ``minutes``.
    """

    minutes: int
    by_age: Values

    def of(self, ages: Indices) -> Values:
        """Return the weights for forecasts of these ages; one older than any fitted stands."""
        inside = np.clip(ages, 0, len(self.by_age) - 1)
        known = (ages < len(self.by_age))[:, None]
        return np.where(known, self.by_age[inside], np.array(_AS_PUBLISHED))


def fitted_weights(
    candidates: Values, came: Values, ages: Indices, intervals: Indices, minutes: int
) -> Weights | None:
    """Fit (W2) for each age at which (W1) would have missed less; None where there is no such age.

    Parameters
    ----------
    candidates
        [value, candidate] as in (W1); NaN where one is not known.
    came
        What was measured.
    ages
        Of each forecast [days, rounded down].
    intervals, minutes
        Which interval each is of, of any number of forecasts; and how long all are.
    """
    usable = np.isfinite(candidates).all(axis=1) & np.isfinite(came)
    n_ages = int(min(ages[usable].max(initial=-1), _OLDEST_DAYS)) + 1
    by_age = np.tile(_AS_PUBLISHED, (n_ages, 1))
    for age in range(n_ages):
        of_age = usable & (ages == age)
        if len(np.unique(intervals[of_age])) * minutes >= _FEWEST_HOURS * 60:
            by_age[age] = _fitted(candidates[of_age], came[of_age])
    return Weights(minutes, by_age) if (by_age != _AS_PUBLISHED).any() else None


def weighed(candidates: Values, ages: Indices, weights: Weights) -> Values:
    """Return (W1); what was published where another candidate that counts is not known."""
    of_each = weights.of(ages)
    parts = np.where(of_each > 0.0, of_each * candidates, 0.0)
    summed = parts.sum(axis=1)
    return np.where(np.isfinite(summed), summed, candidates[:, 0])


def _fitted(candidates: Values, came: Values) -> Values:
    scale = max(float(np.abs(came).mean()), np.finfo(float).tiny)
    found = np.asarray(nnls(candidates / scale, came / scale)[0], dtype=np.float64)
    missed = np.abs(candidates @ found - came).mean()
    published = np.abs(candidates[:, 0] - came).mean()
    return found if missed < (1.0 - _LEAST_GAIN) * published else np.array(_AS_PUBLISHED)
