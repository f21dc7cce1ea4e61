"""Signals of any resolution, with gaps, become one value per slot and a sentence per fault.

Values are first laid on a grid of ``STEP_MINUTES``: coarse ones are held, and where two overlap the
one known last wins. Missing steps take the value of the same UTC time of day on the latest earlier
day that has one. A slot is the mean of its steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from connectors.types import SignalKind
from scheduler.services.window import PlanWindow

STEP_MINUTES = 5
FILL_DAYS = 7  # how many days back a missing value is looked for

_STEP = timedelta(minutes=STEP_MINUTES)
_STEPS_PER_DAY = 24 * 60 // STEP_MINUTES
_LEAST = {
    SignalKind.CARBON_INTENSITY: 0.0,
    SignalKind.BASE_LOAD: 0.0,
    SignalKind.PUE: 1.0,
}

Values = npt.NDArray[np.float64]


class InputRefused(ValueError):
    """An input no plan can be made from. Names the site, the kind and the interval."""


@dataclass(frozen=True, slots=True)
class SlotSeries:
    """One signal by slot. ``values`` holds NaN where even earlier days had nothing."""

    values: Values
    marks: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether every slot has a value."""
        return not bool(np.isnan(self.values).any())


class SignalTable:
    """The signals of a window and of the days before it that gaps are filled from."""

    def __init__(
        self, signals: pd.DataFrame, window: PlanWindow, now: datetime, max_age_hours: float
    ) -> None:
        """Take the rows known by ``now`` with a finite value.

        Parameters
        ----------
        signals
            Columns site, kind, start_at (UTC), minutes, value, known_at (NaT: not stated).
        max_age_hours
            Values known longer ago than this are used with a mark.
        """
        known = signals["known_at"].isna() | (signals["known_at"] <= now)
        finite = np.isfinite(signals["value"].to_numpy(float))
        rows = signals[known & finite]
        self._rows = {
            (str(site), SignalKind(kind)): group
            for (site, kind), group in rows.groupby(["site", "kind"], sort=False)
        }
        self._window = window
        self._now = now
        self._max_age = timedelta(hours=max_age_hours)

    def has(self, site: str, kind: SignalKind) -> bool:
        """Whether any value of this kind is known for the site."""
        return (site, kind) in self._rows

    def required(self, site: str, kind: SignalKind) -> SlotSeries:
        """Return a series no plan can do without.

        Raises
        ------
        InputRefused
            A slot has no value, and no earlier day has one for its time of day.
        """
        series = self.optional(site, kind)
        if not series.is_whole:
            slot = int(np.flatnonzero(np.isnan(series.values))[0])
            start, end = self._window.instant(slot), self._window.instant(slot + 1)
            raise InputRefused(
                f"site {site}: no {kind.value} for {start:%Y-%m-%dT%H:%MZ} .. {end:%H:%MZ},"
                f" nor for that time on any of the {FILL_DAYS} days before"
            )
        return series

    def optional(self, site: str, kind: SignalKind) -> SlotSeries:
        """Return a series that may be missing, in part or as a whole."""
        n_slots = self._window.n_slots
        rows = self._rows.get((site, kind))
        if rows is None:
            return SlotSeries(np.full(n_slots, np.nan), ())
        owner = f"{site} {kind.value}"
        self._require_plausible(site, kind, rows)
        history = FILL_DAYS * _STEPS_PER_DAY
        steps = _on_grid(rows, self._window.start - history * _STEP, self._window.end, owner)
        filled, days_back = _fill_from_earlier_days(steps, history)
        shape = (n_slots, -1)
        by_slot = filled.reshape(shape)
        # Around the first step, so that the mean of equal values is exactly that value.
        values = by_slot[:, 0] + (by_slot - by_slot[:, :1]).mean(axis=1)
        was_filled = (days_back.reshape(shape) > 0).any(axis=1) & ~np.isnan(values)
        marks = [*self._staleness(owner, rows)]
        if was_filled.any():
            days = int(days_back.reshape(shape)[was_filled].max())
            source = "the day before" if days == 1 else f"up to {days} days before"
            marks.append(f"{owner}: {was_filled.sum()} of {n_slots} slots filled from {source}")
        return SlotSeries(values, tuple(marks))

    def _require_plausible(self, site: str, kind: SignalKind, rows: pd.DataFrame) -> None:
        least = _LEAST.get(kind)
        if least is None:
            return
        low = rows[rows["value"] < least]
        if not low.empty:
            row = low.iloc[0]
            raise InputRefused(
                f"site {site}: {kind.value} = {row['value']:g} {kind.unit}"
                f" at {row['start_at']:%Y-%m-%dT%H:%MZ}, must be >= {least:g}"
            )

    def _staleness(self, owner: str, rows: pd.DataFrame) -> Sequence[str]:
        start, end = pd.Timestamp(self._window.start), pd.Timestamp(self._window.end)
        ends = rows["start_at"] + pd.to_timedelta(rows["minutes"], unit="min")
        known_at = rows["known_at"][(rows["start_at"] < end) & (ends > start)].max()
        if pd.isna(known_at) or self._now - known_at <= self._max_age:
            return ()
        age_h = (self._now - known_at) / timedelta(hours=1)
        limit_h = self._max_age / timedelta(hours=1)
        return (f"{owner}: newest value is {age_h:.0f} h old (limit {limit_h:g} h)",)


def _on_grid(rows: pd.DataFrame, start: datetime, end: datetime, owner: str) -> Values:
    """Lay values on steps [start, end); NaN where there is none, the one known last where many."""
    ordered = rows.sort_values("known_at", kind="stable", na_position="first")
    offset = (ordered["start_at"] - pd.Timestamp(start)) / pd.Timedelta(_STEP)
    first = np.rint(offset.to_numpy(float)).astype(int)
    minutes = ordered["minutes"].to_numpy(int)
    off_grid = (np.abs(first - offset.to_numpy(float)) > 1e-9) | (minutes % STEP_MINUTES != 0)
    if off_grid.any():
        row = ordered.iloc[int(np.flatnonzero(off_grid)[0])]
        raise InputRefused(
            f"{owner}: interval of {row['minutes']} minutes from {row['start_at'].isoformat()},"
            f" must begin and end on a multiple of {STEP_MINUTES} minutes"
        )
    steps = np.full((end - start) // _STEP, np.nan)
    last = np.clip(first + minutes // STEP_MINUTES, 0, len(steps))
    values = ordered["value"].to_numpy(float)
    for begin, stop, value in zip(np.clip(first, 0, len(steps)), last, values, strict=True):
        steps[begin:stop] = value
    return steps


def _fill_from_earlier_days(steps: Values, history: int) -> tuple[Values, npt.NDArray[np.int_]]:
    """Fill gaps after the first ``history`` steps; also say from how many days before."""
    wanted = steps[history:].copy()
    days_back = np.zeros(len(wanted), dtype=int)
    for days in range(1, FILL_DAYS + 1):
        missing = np.flatnonzero(np.isnan(wanted))
        if not len(missing):
            break
        source = steps[history + missing - days * _STEPS_PER_DAY]
        found = missing[~np.isnan(source)]
        wanted[found] = source[~np.isnan(source)]
        days_back[found] = days
    return wanted, days_back
