"""A forecast as quantiles of every interval, and what it was issued from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

Values = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int_]
Flags = npt.NDArray[np.bool_]

LEVELS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


class TooLittleHistory(ValueError):
    """Nothing can be forecast from this; names what there is and the least that is needed."""


@dataclass(frozen=True, slots=True, eq=False)
class QuantileForecast:
    """Quantiles of one signal over adjacent intervals of equal length.

    Attributes
    ----------
    issued_at
        When it was made; nothing known later went into it (UTC).
    start_at
        Start of the first interval (UTC).
    minutes
        Length of every interval.
    levels
        Probabilities within (0, 1), increasing; more than one.
    values
        [interval, level], in the unit of the signal; never decreasing along the levels.
    method
        What made it, in a word.
    notes
        Sentences about what it rests on, where that is less than it should be.
    """

    issued_at: pd.Timestamp
    start_at: pd.Timestamp
    minutes: int
    levels: tuple[float, ...]
    values: Values
    method: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require_levels(self.levels)
        for name, instant in (("issued_at", self.issued_at), ("start_at", self.start_at)):
            if instant.tzinfo is None:
                raise ValueError(f"forecast: {name} = {instant}, must carry a time zone")
        if self.values.ndim != 2 or self.values.shape[1] != len(self.levels):
            raise ValueError(
                f"forecast: values of shape {self.values.shape},"
                f" must be [interval, {len(self.levels)}]"
            )
        if not np.isfinite(self.values).all():
            raise ValueError("forecast: values hold NaN or infinity, must be finite")
        if (np.diff(self.values, axis=1) < 0).any():
            raise ValueError("forecast: quantiles cross, must never decrease along the levels")

    @property
    def starts(self) -> pd.DatetimeIndex:
        """Start of every interval (UTC)."""
        return pd.date_range(
            self.start_at, periods=len(self.values), freq=pd.Timedelta(minutes=self.minutes)
        )

    @property
    def median(self) -> Values:
        """The middle of what may come, by interval."""
        return self.at(0.5)

    def at(self, level: float) -> Values:
        """Return the quantile of probability ``level`` by interval, linear between the levels.

        Raises
        ------
        ValueError
            ``level`` lies outside of the levels: a tail that nobody estimated.
        """
        if not self.levels[0] <= level <= self.levels[-1]:
            raise ValueError(
                f"forecast: level = {level:g},"
                f" must be within [{self.levels[0]:g}, {self.levels[-1]:g}]"
            )
        above = int(np.searchsorted(self.levels, level))
        if self.levels[above] == level:
            return self.values[:, above].copy()
        low, high = self.levels[above - 1], self.levels[above]
        share = (level - low) / (high - low)
        return (1 - share) * self.values[:, above - 1] + share * self.values[:, above]

    def series(self, level: float = 0.5) -> pd.Series[float]:
        """Return one quantile by interval start."""
        return pd.Series(self.at(level), index=self.starts)

    def part(self, first: int, stop: int) -> QuantileForecast:
        """Return the intervals [first, stop) alone."""
        start = self.start_at + first * pd.Timedelta(minutes=self.minutes)
        return replace(self, start_at=start, values=self.values[first:stop])


def _require_levels(levels: tuple[float, ...]) -> None:
    within = (0.0, *levels, 1.0)
    if len(levels) < 2 or min(np.diff(within)) <= 0:
        raise ValueError(f"forecast: levels = {levels}, must increase within (0, 1)")
