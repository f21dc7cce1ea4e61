"""Signals of any resolution, with gaps, become one value per slot and a sentence per fault.

Values are first laid on a grid of ``STEP_MINUTES``: coarse ones are held, and where two overlap the
one known last wins; what was published goes before forecasts of our own. Missing steps take the
value of the same time of day on the latest earlier day that has one: by the site's clock for what
follows people, across clock changes too, and in UTC for what follows sun and weather. A slot is the
mean of its steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from connectors.types import SignalKind
from scheduler.services.signal_inputs import (
    FORECAST_PREFIX,
    Rows,
    SignalInput,
    is_own_forecast,
    newest_age_hours,
    signal_input,
    with_origin,
)
from scheduler.services.window import PlanWindow

STEP_MINUTES = 5
FILL_DAYS = 7  # how many days back a missing value is looked for
FILL_HISTORY = timedelta(days=FILL_DAYS, hours=2)
"""How far back that reaches: days by the local clock may begin this much earlier in UTC."""

_STEP = timedelta(minutes=STEP_MINUTES)
_BY_THE_CLOCK = frozenset(
    {
        SignalKind.PRICE,
        SignalKind.EXPORT_PRICE,
        SignalKind.CARBON_INTENSITY,
        SignalKind.BASE_LOAD,
    }
)
"""What follows the hours that people keep; plants and cooling follow the sun."""
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
    rests_on: SignalInput

    @property
    def is_whole(self) -> bool:
        """Whether every slot has a value."""
        return not bool(np.isnan(self.values).any())


class SignalTable:
    """The signals of a window and of the days before it that gaps are filled from."""

    def __init__(
        self,
        signals: pd.DataFrame,
        window: PlanWindow,
        now: datetime,
        max_age_hours: float,
        time_zones: Mapping[str, str] | None = None,
    ) -> None:
        """Take the rows known by ``now`` with a finite value.

        Parameters
        ----------
        signals
            Columns site, kind, start_at (UTC), minutes, value, known_at (NaT: not stated); and
            source and is_flagged, where somebody says.
        max_age_hours
            Values known longer ago than this are used with a mark.
        time_zones
            Whose clock days are counted by, by site; UTC where none is given.
        """
        known = signals["known_at"].isna() | (signals["known_at"] <= now)
        finite = np.isfinite(signals["value"].to_numpy(float))
        rows = with_origin(signals)[known & finite]
        self._rows = {
            (str(site), SignalKind(kind)): group
            for (site, kind), group in rows.groupby(["site", "kind"], sort=False)
        }
        self._no_rows = rows.iloc[:0]
        self._window = window
        self._now = now
        self._max_age = timedelta(hours=max_age_hours)
        self._time_zones = time_zones or {}
        self._asked: dict[tuple[str, SignalKind], SlotSeries] = {}

    @property
    def inputs(self) -> tuple[SignalInput, ...]:
        """What the signals that were asked for rest on."""
        return tuple(series.rests_on for series in self._asked.values())

    @property
    def n_slots(self) -> int:
        """Slots of the window."""
        return self._window.n_slots

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
        asked = site, kind
        if asked not in self._asked:
            self._asked[asked] = self._series(site, kind)
        return self._asked[asked]

    def _series(self, site: str, kind: SignalKind) -> SlotSeries:
        rows = self._rows.get((site, kind), self._no_rows)
        owner = f"{site} {kind.value}"
        self._require_plausible(site, kind, rows)
        begin = self._window.start - FILL_HISTORY
        steps = _on_grid(rows, begin, self._window.end, owner)
        zone = self._time_zones.get(site, "UTC") if kind in _BY_THE_CLOCK else "UTC"
        is_own = np.append(is_own_forecast(rows["source"]).to_numpy(bool), False)
        published = np.where(is_own[steps], -1, steps)
        filled, days_back = _fill_from_earlier_days(steps, published, begin, zone)
        shape = (self._window.n_slots, -1)
        row_of_step, is_filled = filled.reshape(shape), (days_back > 0).reshape(shape)
        by_slot = np.append(rows["value"].to_numpy(float), np.nan)[row_of_step]
        rests_on = signal_input(
            site, kind, rows, row_of_step, is_filled, now=self._now, max_age=self._max_age
        )
        # Around the first step, so that the mean of equal values is exactly that value.
        values = by_slot[:, 0] + (by_slot - by_slot[:, :1]).mean(axis=1)
        is_whole = ~np.isnan(values)
        days = int(days_back.reshape(shape)[is_whole].max(initial=0))
        marks = (*self._staleness(owner, rows), *_marks(owner, rests_on, days))
        return SlotSeries(values, marks, rests_on)

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
        age_h = newest_age_hours(rows[(rows["start_at"] < end) & (ends > start)], self._now)
        limit_h = self._max_age / timedelta(hours=1)
        if age_h is None or age_h <= limit_h:
            return ()
        return (f"{owner}: newest value is {age_h:.0f} h old (limit {limit_h:g} h)",)


def _marks(owner: str, rests_on: SignalInput, days: int) -> Sequence[str]:
    """Say of how many slots the values are not what was published, or suspicious."""
    marks = []
    n_slots = rests_on.n_slots
    if rests_on.forecast_slots:
        methods = ", ".join(
            source.removeprefix(FORECAST_PREFIX)
            for source in rests_on.sources
            if source.startswith(FORECAST_PREFIX)
        )
        marks.append(
            f"{owner}: {rests_on.forecast_slots} of {n_slots} slots forecast by us ({methods})"
        )
    if rests_on.filled_slots:
        source = "the day before" if days == 1 else f"up to {days} days before"
        marks.append(f"{owner}: {rests_on.filled_slots} of {n_slots} slots filled from {source}")
    if rests_on.flagged_slots:
        marks.append(
            f"{owner}: {rests_on.flagged_slots} of {n_slots} slots rest on values that are"
            " suspicious, see gridtide signals quality"
        )
    return marks


def _on_grid(rows: pd.DataFrame, start: datetime, end: datetime, owner: str) -> Rows:
    """Lay rows on steps [start, end): the position of each, -1 where there is none.

    Of several, the one known last stands, and what was published before forecasts of our own.
    """
    is_published = ~is_own_forecast(rows["source"])
    ranked = pd.DataFrame({"published": is_published, "known_at": rows["known_at"]})
    by_rank = ranked.reset_index(drop=True).sort_values(
        ["published", "known_at"], kind="stable", na_position="first"
    )
    ordered = rows.iloc[by_rank.index]
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
    steps = np.full((end - start) // _STEP, -1)
    last = np.clip(first + minutes // STEP_MINUTES, 0, len(steps))
    for begin, stop, row in zip(np.clip(first, 0, len(steps)), last, by_rank.index, strict=True):
        steps[begin:stop] = row
    return steps


def _fill_from_earlier_days(
    steps: Rows, published: Rows, begin: datetime, zone: str
) -> tuple[Rows, Rows]:
    """Fill gaps after the history that begins at ``begin``; say from how many days before, too.

    From what was ``published`` alone: a forecast says nothing of the days after it.
    """
    history = FILL_HISTORY // _STEP
    wanted = steps[history:].copy()
    days_back = np.zeros(len(wanted), dtype=int)
    for days in range(1, FILL_DAYS + 1):
        missing = np.flatnonzero(wanted < 0)
        if not len(missing):
            break
        source = published[_days_before(begin, history + missing, days, zone)]
        found = missing[source >= 0]
        wanted[found] = source[source >= 0]
        days_back[found] = days
    return wanted, days_back


def _days_before(begin: datetime, steps: Rows, days: int, zone: str) -> Rows:
    """Return the steps, counted from ``begin``, of the same time ``days`` days before in ``zone``.

    Of an hour that the earlier day repeats, the first; for one that it skips, the hour after.
    """
    instants = pd.Timestamp(begin) + pd.Series(steps) * pd.Timedelta(_STEP)
    local = instants.dt.tz_convert(zone).dt.tz_localize(None) - pd.Timedelta(days=days)
    earlier = local.dt.tz_localize(
        zone, ambiguous=np.ones(len(local), dtype=bool), nonexistent=pd.Timedelta(hours=1)
    )
    return np.asarray((earlier - pd.Timestamp(begin)) // pd.Timedelta(_STEP), dtype=np.int_)
