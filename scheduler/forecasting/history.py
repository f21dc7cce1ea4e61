"""What was known of a signal at some instant, on a regular grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from scheduler.forecasting.quantiles import Values

_STEP_MINUTES = 5
_DAY_MINUTES = 24 * 60
RESOLUTIONS_MINUTES = (5, 15, 30, 60)


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Values of adjacent intervals; NaN where there is none.

    Attributes
    ----------
    start_at
        Start of the first interval (UTC).
    minutes
        Length of every interval: 5, 15, 30 or 60.
    values
        By interval, in the unit of the signal.
    """

    start_at: pd.Timestamp
    minutes: int
    values: Values

    def __post_init__(self) -> None:
        if self.start_at.tzinfo is None:
            raise ValueError(f"history: start_at = {self.start_at}, must carry a time zone")
        if self.minutes not in RESOLUTIONS_MINUTES:
            raise ValueError(
                f"history: minutes = {self.minutes}, must be one of {RESOLUTIONS_MINUTES}"
            )

    @classmethod
    def of_series(cls, series: pd.Series[float], minutes: int) -> History:
        """Take values by interval start (UTC), each for ``minutes``; what is missing is NaN."""
        if series.empty:
            raise ValueError("history: no values, must be at least one")
        step = pd.Timedelta(minutes=minutes)
        grid = pd.date_range(series.index.min(), series.index.max(), freq=step)
        return cls(grid[0], minutes, np.asarray(series.reindex(grid), dtype=np.float64))

    @property
    def steps_per_day(self) -> int:
        """Intervals in 24 hours."""
        return _DAY_MINUTES // self.minutes

    @property
    def end_at(self) -> pd.Timestamp:
        """End of the last interval."""
        return self.start_at + len(self.values) * pd.Timedelta(minutes=self.minutes)

    def index_of(self, instant: pd.Timestamp) -> int:
        """Return which interval begins at ``instant``; it may lie past the end.

        Raises
        ------
        ValueError
            None does: it is not on the grid.
        """
        steps = (instant - self.start_at) / pd.Timedelta(minutes=self.minutes)
        if not float(steps).is_integer():
            raise ValueError(
                f"history: {instant.isoformat()} is no start of an interval of {self.minutes}"
                f" minutes from {self.start_at.isoformat()} on"
            )
        return int(steps)

    def before(self, instant: pd.Timestamp) -> History:
        """Return what lies before ``instant``, without gaps at either end."""
        values = self.values[: max(0, self.index_of(instant))]
        finite = np.flatnonzero(np.isfinite(values))
        first, stop = (finite[0], finite[-1] + 1) if len(finite) else (0, 0)
        start = self.start_at + int(first) * pd.Timedelta(minutes=self.minutes)
        return History(start, self.minutes, values[first:stop])


def known_history(
    rows: pd.DataFrame, known_by: pd.Timestamp, until: pd.Timestamp, minutes: int, days: int
) -> History:
    """Lay what was known at an instant on a grid that ends at ``until``.

    Coarse values are held, fine ones averaged; of several the one known last counts.

    Parameters
    ----------
    rows
        Columns start_at (UTC), minutes, value, known_at (NaT: not stated, so always known).
    known_by
        Rows known later are passed over.
    days
        How far back from ``until`` the grid reaches.
    """
    known = rows[rows["known_at"].isna() | (rows["known_at"] <= known_by)]
    known = known[np.isfinite(known["value"].to_numpy(float))]
    ordered = known.sort_values("known_at", kind="stable", na_position="first")
    step = pd.Timedelta(minutes=_STEP_MINUTES)
    start = until - pd.Timedelta(days=days)
    fine = np.full((until - start) // step, np.nan)
    lengths = ordered["minutes"].to_numpy(int) // _STEP_MINUTES
    first = np.floor((ordered["start_at"] - start) / step).to_numpy(int)
    offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    where = np.repeat(first, lengths) + offsets
    inside = (where >= 0) & (where < len(fine))
    fine[where[inside]] = np.repeat(ordered["value"].to_numpy(float), lengths)[inside]
    by_interval = fine.reshape(-1, minutes // _STEP_MINUTES)
    filled = np.isfinite(by_interval)
    counts = filled.sum(axis=1)
    sums = np.where(filled, by_interval, 0.0).sum(axis=1)
    values = np.full(len(counts), np.nan)
    np.divide(sums, counts, out=values, where=counts > 0)
    return History(start, minutes, values)
