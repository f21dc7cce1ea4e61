"""What the boosted model sees of a signal from an origin, as numbers without a unit.

Differences are from the blend's point and in units of what recently changes from day to day, so
that a model that was fitted on a calm year holds in a wild one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scheduler.forecasting.blending import Pulled, Typical, pulled_points, typical_points
from scheduler.forecasting.drivers import Driver
from scheduler.forecasting.history import History
from scheduler.forecasting.quantiles import Indices, Values
from scheduler.forecasting.spread import recent_change

_DAY_HOURS = 24
_YEAR_DAYS = 365.25


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A history made ready: gaps filled, its recent change, and the drivers on its grid."""

    known: History
    filled: Values
    scale: Values
    drivers: tuple[Driver, ...]

    @property
    def per_hour(self) -> int:
        """Intervals in an hour."""
        return 60 // self.known.minutes


def made_ready(known: History, filled: Values, drivers: Sequence[Driver]) -> Seen:
    """Make a history ready; drivers must be in its resolution.

    Raises
    ------
    ValueError
        A driver is in another resolution.
    """
    for driver in drivers:
        if driver.minutes != known.minutes:
            raise ValueError(
                f"driver: minutes = {driver.minutes}, must be {known.minutes} as the history's"
            )
    scale = recent_change(known.values, known.steps_per_day)
    return Seen(known, filled, scale, tuple(drivers))


def features(seen: Seen, pulled: Pulled, origins: Indices, leads: Indices) -> Values:
    """Return all features [origin and lead, feature], leads within origins."""
    shape = (len(origins), len(leads))
    columns = [
        *_of_seasons(seen, pulled, origins, leads),
        *_of_the_origin(seen, origins),
        *_of_the_calendar(seen, origins, leads),
    ]
    for driver in seen.drivers:
        columns += _of_a_driver(seen, driver, origins, leads)
    return np.stack([np.broadcast_to(column, shape).ravel() for column in columns], axis=1)


def _of_seasons(seen: Seen, pulled: Pulled, origins: Indices, leads: Indices) -> list[Values]:
    """How typical days and weeks differ from the blend of them."""
    point = pulled_points(seen.filled, pulled, origins, leads)
    scale = seen.scale[origins][:, None]
    return [
        (typical_points(seen.filled, base, origins, leads) - point) / scale for base in pulled.bases
    ]


def _of_the_origin(seen: Seen, origins: Indices) -> list[Values]:
    """How the last hours and the last day differ from those before, the same for every lead."""
    day, hour = _DAY_HOURS * seen.per_hour, seen.per_hour
    scale = seen.scale[origins]
    week = Typical(day, 7)
    since_last = origins - 1
    usual = typical_points(seen.filled, week, since_last, np.array([0]))[:, 0]
    totals = np.concatenate([[0.0], np.cumsum(seen.filled)])

    def mean(steps: int, until: Indices) -> Values:
        return np.asarray((totals[until] - totals[until - steps]) / steps)

    columns = [
        (seen.filled[since_last] - usual) / scale,
        (mean(hour, origins) - mean(hour, origins - 3 * hour)) / scale,
        (mean(day, origins) - mean(7 * day, origins)) / scale,
        (mean(7 * day, origins) - mean(28 * day, origins)) / scale,
    ]
    return [column[:, None] for column in columns]


def _of_the_calendar(seen: Seen, origins: Indices, leads: Indices) -> list[Values]:
    minutes = seen.known.minutes * (origins[:, None] + leads[None, :])
    at_start = seen.known.start_at
    from_midnight = minutes + (at_start - at_start.normalize()) // pd.Timedelta(minutes=1)
    days = from_midnight // (24 * 60)
    year = 2 * np.pi * (days + at_start.day_of_year) / _YEAR_DAYS
    return [
        (leads[None, :] / seen.per_hour).astype(float),
        (from_midnight % (24 * 60)) / 60,
        ((days + at_start.day_of_week) % 7).astype(float),
        np.sin(year),
        np.cos(year),
    ]


def _of_a_driver(seen: Seen, driver: Driver, origins: Indices, leads: Indices) -> list[Values]:
    """Give its forecast, and how that differs from its typical days; NaN: not published."""
    day = _DAY_HOURS * seen.per_hour
    offset = round((seen.known.start_at - driver.start_at) / pd.Timedelta(minutes=driver.minutes))
    ahead = driver.at(offset, origins, leads)
    newest = driver.before(offset, len(seen.known.values), day)
    usual = typical_points(newest, Typical(day, 7), origins, leads)
    lately = (
        newest[origins - 1]
        - typical_points(newest, Typical(day, 7), origins - 1, np.array([0]))[:, 0]
    )
    return [ahead, ahead - usual, lately[:, None]]
