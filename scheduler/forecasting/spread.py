r"""How far past forecasts were off, by lead time, as quantiles of their residuals.

.. math::
    v_o = \text{mean of } |y_u - y_{u-\text{day}}| \text{ over the fortnight before } o   \tag{Q1}
    q^{\tau}_{o+l} = \hat y_{o+l} + v_o Q_\tau((y_{p+l} - \hat y_{p+l}) / v_p)             \tag{Q2}

over past origins p: what was missed in a calm fortnight says less of a wild one. Forecasts issued
at the same time of day as this one tell of the same hours of the day at each lead. Where they are
too few, those issued an hour or two before and after are taken as well; then those of all times of
day, then those of all leads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scheduler.forecasting.quantiles import Indices, Values

# Values at [origin, lead] as forecast from each origin: only what lies before it may be used.
PointsAt = Callable[[Indices, Indices], Values]

LOOK_BACK_DAYS = 56
_AROUND_HOURS = (0, 1, 2)  # before and after, what counts as the same time of day
_ENOUGH = 40  # residuals at which nothing more is taken in
_FEWEST = 20  # residuals that quantiles of one lead may rest on
_MOST_ORIGINS = 400
_CHANCE = 0.5
_RECENT_DAYS = 14  # that (Q1) is taken over
_LEAST_RECENT = 0.2  # of what it is over all history: a calm fortnight does not make certain


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What is known, and how it is forecast from each of its origins.

    Attributes
    ----------
    values
        By interval; the next is the first that is not known.
    points_at
        The forecast that is made again from past origins.
    earliest
        First origin that can be forecast from.
    """

    values: Values
    points_at: PointsAt
    steps_per_day: int
    earliest: int


def residual_quantiles(
    past: Past, leads: Indices, levels: tuple[float, ...], *, width: float = 1.0
) -> Values | None:
    """Issue past forecasts again and take quantiles of what they missed by (Q2).

    Parameters
    ----------
    leads
        Intervals ahead, from 0.
    width
        What quantiles are wider by: more than 1 where the forecast was fitted to these very values.

    Returns
    -------
    array or None
        [lead, level], to be added to the forecast; None where nothing could ever be compared.
    """
    scale = recent_change(past.values, past.steps_per_day)
    residuals = _residuals_alike(past, leads, scale)
    thin = np.isfinite(residuals).sum(axis=0) < _FEWEST
    offsets = np.zeros((len(leads), len(levels)))
    if (~thin).any():
        offsets[~thin] = _quantiles(residuals[:, ~thin], levels)
    if thin.any():
        every = all_origins(past)
        pooled = residuals_at(past, every, leads[thin]) / scale[every, None]
        if not np.isfinite(pooled).any() and not np.isfinite(residuals).any():
            return None
        offsets[thin] = _pooled_quantiles(pooled, residuals, levels)
    return offsets * (width * float(scale[-1]))


def residuals_at(past: Past, origins: Indices, leads: Indices) -> Values:
    """Return what came less what was forecast, [origin, lead]; NaN where either is not known."""
    n_known = len(past.values)
    targets = origins[:, None] + leads[None, :]
    came = np.where(targets < n_known, past.values[np.minimum(targets, n_known - 1)], np.nan)
    return came - past.points_at(origins, leads)


def all_origins(past: Past) -> Indices:
    """Return origins spread evenly over the days looked back on, of all times of day."""
    n_known = len(past.values)
    first = max(past.earliest, n_known - LOOK_BACK_DAYS * past.steps_per_day)
    count = min(_MOST_ORIGINS, max(0, n_known - first))
    return np.unique(np.linspace(first, n_known - 1, count).astype(int))


def recent_change(values: Values, steps_per_day: int) -> Values:
    """Return (Q1) for every origin, the next included; never 0."""
    change = np.full(len(values), np.nan)
    change[steps_per_day:] = np.abs(values[steps_per_day:] - values[:-steps_per_day])
    is_known = np.isfinite(change)
    overall = float(change[is_known].mean()) if is_known.any() else 1.0
    total = np.concatenate([[0.0], np.cumsum(np.where(is_known, change, 0.0))])
    count = np.concatenate([[0], np.cumsum(is_known)])
    since = np.maximum(0, np.arange(len(values) + 1) - _RECENT_DAYS * steps_per_day)
    n_recent = count - count[since]
    recent = (total - total[since]) / np.maximum(1, n_recent)
    recent = np.where(n_recent < steps_per_day, overall, recent)
    tiny = float(np.finfo(float).tiny)
    return np.maximum(recent, max(_LEAST_RECENT * overall, tiny))


def _residuals_alike(past: Past, leads: Indices, scale: Values) -> Values:
    """Scaled residuals of forecasts issued at this time of day, or about it where they are few."""
    residuals = np.empty((0, len(leads)))
    for hours in _AROUND_HOURS:
        origins = _origins_about(past, hours)
        residuals = residuals_at(past, origins, leads) / scale[origins, None]
        if np.isfinite(residuals).sum(axis=0).min() >= _ENOUGH:
            break
    return residuals


def _origins_about(past: Past, hours: int) -> Indices:
    """Origins at this time of day, and so many hours before and after, on the days before."""
    n_known, per_day = len(past.values), past.steps_per_day
    around = np.arange(-hours, hours + 1) * (per_day // 24)
    days = np.arange(1, LOOK_BACK_DAYS + 1) * per_day
    origins = (n_known - days[:, None] + around[None, :]).ravel()
    return np.asarray(origins[(origins >= past.earliest) & (origins < n_known)])


def _pooled_quantiles(pooled: Values, alike: Values, levels: tuple[float, ...]) -> Values:
    """Take each lead's own where they are enough, else those of all leads together."""
    whole = np.concatenate([pooled.ravel(), alike.ravel()])
    offsets = np.tile(_quantiles(whole[:, None], levels), (pooled.shape[1], 1))
    enough = np.isfinite(pooled).sum(axis=0) >= _FEWEST
    if enough.any():
        offsets[enough] = _quantiles(pooled[:, enough], levels)
    return offsets


def _quantiles(residuals: Values, levels: tuple[float, ...]) -> Values:
    """Quantiles [lead, level] of [origin, lead], so that as many lie between as they say.

    Half of their median is taken for chance: by measurement, that makes forecasts better.
    """
    found = np.nanquantile(residuals, levels, axis=0, method="weibull")
    return np.asarray((found - _CHANCE * np.nanmedian(residuals, axis=0)).T)
