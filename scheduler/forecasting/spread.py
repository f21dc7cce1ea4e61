"""How far past forecasts were off, by lead time, as quantiles of their residuals.

Forecasts issued at the same time of day as this one tell of the same hours of the day at each lead.
Where they are too few, those issued an hour or two before and after are taken as well; then those
of all times of day, then those of all leads.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scheduler.forecasting.quantiles import Indices, Values

# Values at [origin, lead] as forecast from each origin: only what lies before it may be used.
PointsAt = Callable[[Indices, Indices], Values]

LOOK_BACK_DAYS = 56
_AROUND_HOURS = (0, 1, 2)  # before and after, what counts as the same time of day
_ENOUGH = 40  # residuals at which nothing more is taken in
_FEWEST = 20  # residuals that quantiles of one lead may rest on
_MOST_ORIGINS = 400


def residual_quantiles(
    values: Values,
    points_at: PointsAt,
    leads: Indices,
    levels: tuple[float, ...],
    *,
    steps_per_day: int,
    earliest: int,
) -> Values | None:
    """Issue past forecasts again and take quantiles of what they missed by.

    Parameters
    ----------
    values
        What is known, by interval; the next is the first that is not.
    leads
        Intervals ahead, from 0.
    earliest
        First origin that can be forecast from.

    Returns
    -------
    array or None
        [lead, level]; None where nothing could ever have been compared.
    """
    n_known = len(values)
    residuals = _residuals_alike(values, points_at, leads, steps_per_day, earliest)
    thin = np.isfinite(residuals).sum(axis=0) < _FEWEST
    offsets = np.zeros((len(leads), len(levels)))
    if (~thin).any():
        offsets[~thin] = np.nanquantile(residuals[:, ~thin], levels, axis=0, method="weibull").T
    if thin.any():
        every = all_origins(n_known, steps_per_day, earliest)
        pooled = residuals_at(values, points_at, every, leads[thin])
        if not np.isfinite(pooled).any() and not np.isfinite(residuals).any():
            return None
        offsets[thin] = _pooled_quantiles(pooled, residuals, levels)
    return offsets


def _pooled_quantiles(pooled: Values, alike: Values, levels: tuple[float, ...]) -> Values:
    """Take each lead's own where there are enough, else those of all leads together."""
    whole = np.concatenate([pooled.ravel(), alike.ravel()])
    together = np.nanquantile(whole, levels, method="weibull")
    offsets = np.tile(together, (pooled.shape[1], 1))
    enough = np.isfinite(pooled).sum(axis=0) >= _FEWEST
    if enough.any():
        offsets[enough] = np.nanquantile(pooled[:, enough], levels, axis=0, method="weibull").T
    return offsets


def residuals_at(values: Values, points_at: PointsAt, origins: Indices, leads: Indices) -> Values:
    """Return what came less what was forecast, [origin, lead]; NaN where either is not known."""
    targets = origins[:, None] + leads[None, :]
    is_known = targets < len(values)
    came = np.where(is_known, values[np.minimum(targets, len(values) - 1)], np.nan)
    return came - points_at(origins, leads)


def _residuals_alike(
    values: Values, points_at: PointsAt, leads: Indices, steps_per_day: int, earliest: int
) -> Values:
    """Residuals of forecasts issued at this time of day, or about it where there are few."""
    residuals = np.empty((0, len(leads)))
    for hours in _AROUND_HOURS:
        origins = _origins_about(len(values), steps_per_day, earliest, hours)
        residuals = residuals_at(values, points_at, origins, leads)
        if np.isfinite(residuals).sum(axis=0).min() >= _ENOUGH:
            break
    return residuals


def _origins_about(n_known: int, steps_per_day: int, earliest: int, hours: int) -> Indices:
    around = np.arange(-hours, hours + 1) * (steps_per_day // 24)
    days = np.arange(1, LOOK_BACK_DAYS + 1) * steps_per_day
    origins = (n_known - days[:, None] + around[None, :]).ravel()
    return np.asarray(origins[(origins >= earliest) & (origins < n_known)])


def all_origins(n_known: int, steps_per_day: int, earliest: int) -> Indices:
    """Return origins spread evenly over the days looked back on, of all times of day."""
    first = max(earliest, n_known - LOOK_BACK_DAYS * steps_per_day)
    count = min(_MOST_ORIGINS, max(0, n_known - first))
    return np.unique(np.linspace(first, n_known - 1, count).astype(int))
