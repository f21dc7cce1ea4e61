"""Values of one signal, and the same laid on whole hours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

STEP_MINUTES = 5
HOUR_MINUTES = 60


@dataclass(frozen=True, slots=True)
class Series:
    """Values for [start, start + length), in order of time. Minutes are since 1970."""

    starts: Ints
    minutes: Ints
    values: Floats

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Self:
        """Take ``start_at`` (UTC), ``minutes`` and ``value`` of a frame, in any order."""
        ordered = frame.sort_values("start_at", kind="stable")
        seconds = ordered["start_at"].dt.as_unit("s").astype("int64").to_numpy()
        return cls(
            seconds // 60,
            ordered["minutes"].to_numpy("int64"),
            ordered["value"].to_numpy("float64"),
        )

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def ends(self) -> Ints:
        """Ends of the intervals."""
        return self.starts + self.minutes

    def between(self, start: int, end: int) -> Series:
        """Keep the intervals that start in [start, end)."""
        keep = slice(*np.searchsorted(self.starts, (start, end)))
        return Series(self.starts[keep], self.minutes[keep], self.values[keep])

    def then(self, later: Series) -> Series:
        """Put the values of another in the place of, or behind, those of this one."""
        mine = ~np.isin(self.starts, later.starts)
        starts = np.concatenate([self.starts[mine], later.starts])
        order = np.argsort(starts, kind="stable")
        return Series(
            starts[order],
            np.concatenate([self.minutes[mine], later.minutes])[order],
            np.concatenate([self.values[mine], later.values])[order],
        )

    def by_hour(self, first_hour: int, n_hours: int) -> Floats:
        """Return means of hours from ``first_hour`` (since 1970) on; NaN unless wholly known."""
        per_hour = HOUR_MINUTES // STEP_MINUTES
        steps = np.full(n_hours * per_hour, np.nan)
        first = self.starts // STEP_MINUTES - first_hour * per_hour
        last = np.clip(first + self.minutes // STEP_MINUTES, 0, len(steps))
        first = np.clip(first, 0, len(steps))
        lengths = last - first
        # Which step of which interval: 0 1 2 | 0 1 | ... counted on from each beginning.
        begins = np.cumsum(lengths) - lengths
        within = np.arange(lengths.sum()) - np.repeat(begins, lengths)
        steps[np.repeat(first, lengths) + within] = np.repeat(self.values, lengths)
        hours: Floats = steps.reshape(n_hours, per_hour).mean(axis=1)
        return hours
