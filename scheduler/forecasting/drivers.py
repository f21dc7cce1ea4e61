"""Forecasts that others publish of what drives a signal: wind and sun behind carbon and prices.

Kept by issue, so that from each past origin only what had been published by then is seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from scheduler.forecasting.quantiles import Indices, Values
from scheduler.forecasting.seasonal import filled_by_season


@dataclass(frozen=True, slots=True, eq=False)
class Driver:
    """What was published of one driver, issue by issue.

    Attributes
    ----------
    start_at
        Start of the grid that issues are counted on (UTC).
    minutes
        Length of every interval.
    issues
        Interval at whose start each issue was known, increasing.
    values
        [issue, intervals after it], in any unit; NaN where it says nothing.
    """

    start_at: pd.Timestamp
    minutes: int
    issues: Indices
    values: Values

    @classmethod
    def of_rows(cls, rows: pd.DataFrame, minutes: int) -> Driver:
        """Take rows of columns known_at, start_at (UTC) and value, each for ``minutes``.

        Raises
        ------
        ValueError
            There are none.
        """
        if rows.empty:
            raise ValueError("driver: no rows, must be at least one")
        step = pd.Timedelta(minutes=minutes)
        known_at = rows["known_at"].dt.ceil(step)
        start = known_at.min()
        issue = ((known_at - start) // step).to_numpy(int)
        after = ((rows["start_at"] - known_at) // step).to_numpy(int)
        ahead = after >= 0
        issues, position = np.unique(issue[ahead], return_inverse=True)
        values = np.full((len(issues), int(after.max(initial=0)) + 1), np.nan)
        values[position, after[ahead]] = rows["value"].to_numpy(float)[ahead]
        return cls(start, minutes, issues, values)

    def at(self, offset: int, origins: Indices, leads: Indices) -> Values:
        """Return what was known at each origin of each lead [origin, lead]; NaN: nothing.

        Parameters
        ----------
        offset
            Interval of this grid at which the grid of the origins begins.
        """
        known = origins + offset
        issue = np.searchsorted(self.issues, known, side="right") - 1
        after = known[:, None] + leads[None, :] - self.issues[np.maximum(issue, 0)][:, None]
        inside = (issue >= 0)[:, None] & (after < self.values.shape[1])
        found = self.values[np.maximum(issue, 0)[:, None], np.where(inside, after, 0)]
        return np.where(inside, found, np.nan)

    def before(self, offset: int, count: int, day: int) -> Values:
        """Return the newest that had been published of each interval before it came [interval]."""
        origins = np.arange(count)
        newest = self.at(offset, origins, np.array([0]))[:, 0]
        first = np.flatnonzero(np.isfinite(newest))
        if not len(first):
            return newest
        filled = filled_by_season(newest[first[0] :], day, day)
        return np.concatenate([newest[: first[0]], filled])
