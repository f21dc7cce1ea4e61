r"""Error paths: what past plans were told against what came, whole paths of all signals at once.

A forecast is wrong for hours on end, and prices, wind and carbon are wrong together. So errors are
not drawn hour by hour: a path is the error of *one* past issue at *every* lead time, of *all*
signals and sites. With f the value known at the issue, a the one that came, lead t and issue i,

.. math::
    b_k = \min\Bigl\{1, \max\Bigl\{0,
        \frac{\sum_{it} (f_{it} - \bar f_i)(a_{it} - \bar a_i)}
             {\sum_{it} (f_{it} - \bar f_i)^2}\Bigr\}\Bigr\}                       \tag{F1} \\
    e_{it} = a_{it} - (\bar f_i + b_k (f_{it} - \bar f_i))                         \tag{F2} \\
    x_{st} = \bar f + b_k (f_t - \bar f) + e_{st} - \sum_{s'} \pi_{s'} e_{s't}     \tag{F3}

where k is the day of lead time that t lies in, and means are over its leads that were ever wrong.
The slope b (F1) is how much of what a forecast says of the hours of a day comes true: 1 for a good
one, 0 for noise. The cheapest of many noisy hours looks cheaper than it will be; (F3) takes that
off. Errors are centred, so that the mean of the paths is the forecast itself and not the luck of a
few weeks.

How to use it: ``error_paths`` once per plan, from arrays [issue, lead slot] of what was known and
of what came; ``reduced`` to the number wanted; ``ErrorPaths.around`` for each signal of the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

Signal = tuple[str, str]
"""(site, kind)."""

SAME_PATH = 1e-5
"""Paths no farther apart than this share of the farthest two are the same."""
NEGLIGIBLE = 1e-9
"""Errors up to this share of a signal's size are none: the value was known, not forecast."""


@dataclass(frozen=True, slots=True)
class PastIssue:
    """One signal as past plans saw it: what they were told, and what came [issue, lead slot].

    NaN where nothing was told or nothing came.
    """

    told: Floats
    came: Floats


@dataclass(frozen=True, slots=True)
class SignalErrors:
    """Errors of one signal [path, lead slot] (F2) and the slope at each lead (F1)."""

    errors: Floats
    slopes: Floats
    slots_per_day: int


@dataclass(frozen=True, slots=True)
class ErrorPaths:
    """Paths of all signals: path s of one goes with path s of every other.

    Attributes
    ----------
    probability
        Of each path; they sum to 1 [path].
    issues
        Which past issue each path is, by its row in what ``error_paths`` was given.
    signals
        By (site, kind).
    """

    probability: Floats
    issues: tuple[int, ...]
    signals: Mapping[Signal, SignalErrors]

    def __len__(self) -> int:
        return len(self.probability)

    def around(
        self, signal: Signal, forecast: Floats, *, least: float = -np.inf, most: float = np.inf
    ) -> Floats:
        """Return ``forecast`` [lead slot] as it may turn out [path, lead slot] (F3).

        A signal without errors turns out as forecast. What would lie outside of [least, most] is
        taken as that.
        """
        known = self.signals.get(signal)
        if known is None:
            return np.repeat(forecast[None, :], len(self), axis=0)
        centred = known.errors - self.probability @ known.errors
        calm = _calibrated(forecast[None, :], known.slopes, known.slots_per_day)
        paths: Floats = np.clip(calm + centred, least, most)
        return paths


def error_paths(past: Mapping[Signal, PastIssue], slots_per_day: int) -> ErrorPaths:
    """Return one path per past issue in which every signal was told and came for every lead.

    Raises
    ------
    ValueError
        Signals differ in shape, or no issue is whole.
    """
    shapes = {issue.told.shape for issue in past.values()}
    shapes |= {issue.came.shape for issue in past.values()}
    if len(shapes) != 1:
        raise ValueError(f"past issues: shapes {sorted(shapes)}, must be one (issue, lead slot)")
    every = np.array([_is_whole(issue) for issue in past.values()])
    is_whole: Bools = np.logical_and.reduce(every, axis=0)
    rows = np.flatnonzero(is_whole)
    if not len(rows):
        raise ValueError(f"past issues: 0 of {len(is_whole)} are whole, must be >= 1")
    signals = {
        name: _errors(PastIssue(issue.told[rows], issue.came[rows]), slots_per_day)
        for name, issue in past.items()
    }
    share = np.full(len(rows), 1.0 / len(rows))
    return ErrorPaths(share, tuple(rows.tolist()), signals)


def reduced(paths: ErrorPaths, n_paths: int) -> ErrorPaths:
    """Keep the ``n_paths`` that stand best for all; a dropped one gives its share to the nearest.

    Forward selection: the path is taken next that lessens the probability-weighted distance of all
    paths to the nearest chosen one most (N. Groewe-Kuska, H. Heitsch, W. Roemisch, "Scenario
    reduction and scenario tree construction for power management problems", IEEE Bologna PowerTech
    2003). Each signal counts by its own spread, as many slots as it has.
    """
    if n_paths < 1:
        raise ValueError(f"error paths: n_paths = {n_paths}, must be >= 1")
    if n_paths >= len(paths):
        return paths
    distance = _distances(paths)
    nearest = np.full(len(paths), np.inf)
    chosen: list[int] = []
    least = SAME_PATH * float(distance.max())
    while len(chosen) < n_paths and nearest.max() > least:
        left = np.minimum(nearest[:, None], distance)
        cost = paths.probability @ left
        cost[chosen] = np.inf
        chosen.append(int(cost.argmin()))
        nearest = left[:, chosen[-1]]
    rows = np.array(sorted(chosen))
    keeper = distance[:, rows].argmin(axis=1)
    keeper[rows] = np.arange(len(rows))
    probability = np.bincount(keeper, paths.probability, len(rows)).astype(np.float64)
    signals = {
        name: SignalErrors(one.errors[rows], one.slopes, one.slots_per_day)
        for name, one in paths.signals.items()
    }
    return ErrorPaths(probability, tuple(paths.issues[row] for row in rows.tolist()), signals)


def _is_whole(issue: PastIssue) -> Bools:
    known = np.isfinite(issue.told) & np.isfinite(issue.came)
    whole: Bools = np.logical_and.reduce(known, axis=1)
    return whole


def _errors(issue: PastIssue, slots_per_day: int) -> SignalErrors:
    slopes = _slopes(issue, slots_per_day)
    calm = _calibrated(issue.told, slopes, slots_per_day)
    return SignalErrors(issue.came - calm, slopes, slots_per_day)


def _slopes(issue: PastIssue, slots_per_day: int) -> Floats:
    """Return (F1) at every lead [lead slot]; NaN where a value was always known."""
    wrong = np.abs(issue.came - issue.told).max(axis=0)
    size = max(float(np.abs(issue.came).max()), 1e-12)
    was_wrong: Bools = np.asarray(wrong > NEGLIGIBLE * size)
    slopes = np.full(issue.told.shape[1], np.nan)
    for leads in _days(was_wrong, slots_per_day):
        told, came = issue.told[:, leads], issue.came[:, leads]
        told = told - told.mean(axis=1, keepdims=True)
        came = came - came.mean(axis=1, keepdims=True)
        swing = float((told * told).sum())
        slope = 1.0 if swing <= (NEGLIGIBLE * size) ** 2 else float((told * came).sum()) / swing
        slopes[leads] = min(1.0, max(0.0, slope))
    return slopes


def _calibrated(told: Floats, slopes: Floats, slots_per_day: int) -> Floats:
    """Return what is left of forecasts [issue, lead slot] when (F1) is taken into account."""
    calm = told.astype(np.float64, copy=True)
    for leads in _days(np.isfinite(slopes), slots_per_day):
        mean = told[:, leads].mean(axis=1, keepdims=True)
        calm[:, leads] = mean + slopes[leads] * (told[:, leads] - mean)
    return calm


def _days(counts: Bools, slots_per_day: int) -> list[NDArray[np.int64]]:
    """Return the leads that count, day by day."""
    leads = np.flatnonzero(counts)
    days = leads // slots_per_day
    return [leads[days == day] for day in np.unique(days)]


def _distances(paths: ErrorPaths) -> Floats:
    """Return how far paths are from each other [path, path]."""
    squared = np.zeros((len(paths), len(paths)))
    for one in paths.signals.values():
        spread = float(one.errors.std())
        if spread <= 0.0:
            continue
        rows = one.errors / spread
        norm = (rows * rows).sum(axis=1)
        squared += norm[:, None] + norm[None, :] - 2.0 * rows @ rows.T
    distance: Floats = np.sqrt(np.maximum(squared, 0.0))
    np.fill_diagonal(distance, 0.0)
    return distance
