r"""A day against those before it: units, hours and signs that were taken for others.

Nothing is compared with a fixed limit alone. How far days of this very signal lie apart says what
is natural, and what is not natural is flagged only where one mistake of a known kind, undone, makes
a natural day of it: for logarithms of the level :math:`l_d` and the spread :math:`s_d` of day d,
with medians :math:`\tilde l, \tilde s` over days and the farthest any of them is, :math:`w`,

.. math::
    |l - \tilde l - \log f| \le w_l + a, \quad |l - \tilde l| > w_l + b   \tag{Q1}
    |s - \tilde s - \log f| \le w_s + a, \quad |s - \tilde s| > w_s + b   \tag{Q2}
    \max_{k \ne 0} c_k - c_0 > m \max_d (\max_{k \ne 0} c_{kd} - c_{0d})  \tag{Q3}

with f a factor between units, and :math:`c_k` the correlation with the usual day, moved by k hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.quality.series import Floats

DAY = 24
LEAST_DAYS = 7
LEAST_HOURS = 20  # of a day that counts
SHIFTS = tuple(k for k in range(-12, 13) if k)
_WITHIN = 0.15  # a of (Q1), decades
_BEYOND = 0.3  # b of (Q1), decades
_TIMES_NATURAL = 3.0  # m of (Q3)
_LEAST_MARGIN = 0.03
_LEAST_FIT = 0.85
_FIT_OF_ONE_HOUR = 0.95  # weather moves many a day by an hour, but not two that fit so well
_OPPOSITE = -0.3
_MOST_OF_DAY = 0.8


@dataclass(frozen=True, slots=True)
class Days:
    """Whole days by hour [day, hour], NaN where nothing is known; days with too little are out."""

    hours: Floats

    @classmethod
    def of(cls, by_hour: Floats) -> Days:
        """Cut hours, from a midnight on, into days."""
        days = by_hour[: len(by_hour) // DAY * DAY].reshape(-1, DAY)
        return cls(days[(~np.isnan(days)).sum(axis=1) >= LEAST_HOURS])

    def __len__(self) -> int:
        return len(self.hours)

    def levels(self) -> Floats:
        """Size that most hours of each day are below; the sun is up for some of them in winter."""
        return np.asarray(np.nanquantile(np.abs(self.hours), 0.8, axis=1), float)

    def spreads(self) -> Floats:
        """How far apart most hours of each day lie."""
        low, high = np.nanquantile(self.hours, (0.15, 0.85), axis=1)
        return np.asarray(high - low, float)

    def usual(self) -> Floats:
        """Return the usual day: medians by hour."""
        return np.asarray(np.nanmedian(self.hours, axis=0), float)


def factor_of(usual: Days, fresh: Days, factors: Sequence[float]) -> float | None:
    """Say which factor all fresh days are off by, (Q1) and (Q2); ``None``: by none."""
    if len(usual) < LEAST_DAYS or not len(fresh):
        return None
    figures = (usual.levels(), fresh.levels()), (usual.spreads(), fresh.spreads())
    both = [_what_is_left(past[past > 0], new, factors) for past, new in figures]
    if any(left is None for left in both):
        return None
    total = {factor: sum(left.get(factor, np.inf) for left in both if left) for factor in factors}
    nearest = min(total, key=lambda factor: total[factor])
    return nearest if np.isfinite(total[nearest]) else None


def _what_is_left(past: Floats, new: Floats, factors: Sequence[float]) -> dict[float, float] | None:
    """Say how far one figure is from usual once a factor is undone [decades], where natural then.

    ``None`` where it is natural as it is.
    """
    if len(past) < LEAST_DAYS or not (new > 0).all():
        return None
    usual = np.median(np.log10(past))
    natural = np.abs(np.log10(past) - usual).max()
    off = np.log10(new) - usual
    if (np.abs(off) <= natural + _BEYOND).any():
        return None
    left = {factor: float(np.abs(off - np.log10(factor)).max()) for factor in factors}
    return {factor: one for factor, one in left.items() if one <= natural + _WITHIN}


def shift_of(usual: Days, fresh: Days) -> int | None:
    """Say by how many hours all fresh days come too late, (Q3); negative: too early."""
    if len(usual) < LEAST_DAYS or not len(fresh):
        return None
    fits = _fits(usual, fresh.hours).mean(axis=0)
    natural = _means_of(_fits(usual, usual.hours), len(fresh))
    zero = len(SHIFTS) // 2
    best = int(np.argmax(fits))
    margins = natural.max(axis=1) - natural[:, zero]
    margin = fits[best] - fits[zero]
    least = max(_LEAST_MARGIN, _TIMES_NATURAL * float(margins.max()))
    if best == zero or fits[best] < _LEAST_FIT or not margin > least:
        return None
    shift = best - zero
    is_weather = abs(shift) == 1 and (len(fresh) < 2 or fits[best] < _FIT_OF_ONE_HOUR)
    return None if is_weather else shift


def is_turned(usual: Days, fresh: Days) -> bool:
    """Whether all fresh days are as usual with the other sign."""
    if len(usual) < LEAST_DAYS or not len(fresh):
        return False
    medians = np.nanmedian(usual.hours, axis=1)
    if not (medians > 0).all():
        return False
    turned = -np.nanmedian(fresh.hours, axis=1)
    is_natural = (turned >= medians.min() / 2) & (turned <= 2 * medians.max())
    is_negative = np.nanmean(fresh.hours < 0, axis=1) >= _MOST_OF_DAY
    zero = len(SHIFTS) // 2
    is_opposite = _fits(usual, fresh.hours)[:, zero] <= _OPPOSITE
    return bool((is_natural & is_negative & is_opposite).all())


def _fits(usual: Days, days: Floats) -> Floats:
    """Correlations of each day with the usual one, moved [day, shift]; not moved in the middle."""
    shape = usual.usual()
    moved = np.array([np.roll(shape, k) for k in range(SHIFTS[0], SHIFTS[-1] + 1)])
    known, of_moved = ~np.isnan(days), ~np.isnan(moved)
    left, right = np.where(known, days, 0.0), np.where(of_moved, moved, 0.0)
    # Sums over the hours that both know.
    count = np.maximum(known.astype(float) @ of_moved.T, 1.0)
    sum_left, sum_right = left @ of_moved.T, known @ right.T
    both = left @ right.T - sum_left * sum_right / count
    of_left = left**2 @ of_moved.T - sum_left**2 / count
    of_right = known @ (right**2).T - sum_right**2 / count
    size = np.sqrt(np.maximum(of_left, 0.0) * np.maximum(of_right, 0.0))
    fits: Floats = np.divide(both, size, out=np.zeros_like(both), where=size > 0)
    return fits


def _means_of(rows: Floats, n: int) -> Floats:
    """Means of every n rows that follow each other."""
    n = min(n, len(rows))
    sums = np.cumsum(np.vstack([np.zeros((1, rows.shape[1])), rows]), axis=0)
    return np.asarray((sums[n:] - sums[:-n]) / n, float)
