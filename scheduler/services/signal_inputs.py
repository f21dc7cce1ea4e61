"""What a plan's signals rest on: how many slots were published, forecast by us, filled or missing.

A value says where it comes from in the column ``source`` of ``signals_frame``, and nowhere else:
what Gridtide forecast itself begins with ``FORECAST_PREFIX``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from connectors.types import SignalKind
from scheduler.forecasting.history import RESOLUTIONS_MINUTES

FITTED_OVER = timedelta(days=28)
"""How far back published forecasts are held against what came."""
FORECAST_PREFIX = "forecast/"
_MOST_SOURCES = 10

Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int_]


class SignalInput(BaseModel):
    """Of how many slots of one signal the values came from where; the first four add up to all.

    A slot of several values is of the worst of them: missing, filled, forecast, published.

    Attributes
    ----------
    published_slots
        From values that came in.
    forecast_slots
        From forecasts of our own.
    filled_slots
        Copied from the same time of an earlier day.
    missing_slots
        Without any: the fleet's constant, or what follows from another signal, stands there.
    flagged_slots
        Of all of these, from values that are suspicious and that nobody has decided on.
    age_hours
        Of the newest value of the window when the plan was made [h]; ``None``: not stated.
    is_stale
        Older than the fleet's ``max_signal_age_hours``.
    sources
        Where they come from, in order of the alphabet; at most ten.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    site: str
    kind: SignalKind
    published_slots: int = Field(ge=0)
    forecast_slots: int = Field(ge=0)
    filled_slots: int = Field(ge=0)
    missing_slots: int = Field(ge=0)
    flagged_slots: int = Field(ge=0)
    age_hours: float | None
    is_stale: bool
    sources: tuple[str, ...]

    @property
    def n_slots(self) -> int:
        """Slots of the plan."""
        return self.published_slots + self.forecast_slots + self.filled_slots + self.missing_slots

    @property
    def is_sound(self) -> bool:
        """Whether every slot was published, and nothing is old or suspicious."""
        return self.published_slots == self.n_slots and not (self.flagged_slots or self.is_stale)


def with_origin(signals: pd.DataFrame) -> pd.DataFrame:
    """Give a frame of signals the columns ``source`` and ``is_flagged`` where it has none."""
    missing = {
        name: value
        for name, value in (("source", ""), ("is_flagged", False))
        if name not in signals
    }
    return signals.assign(**missing) if missing else signals


def is_own_forecast(sources: pd.Series) -> pd.Series:
    """Whether each value is one that Gridtide forecast itself."""
    return sources.astype(str).str.startswith(FORECAST_PREFIX)


def is_measured(rows: pd.DataFrame) -> pd.Series:
    """Whether each value was known after its interval only; others are forecasts of it."""
    return rows["known_at"] >= rows["start_at"] + pd.to_timedelta(rows["minutes"], unit="min")


def by_signal(
    frame: pd.DataFrame, kinds: Collection[SignalKind]
) -> Iterator[tuple[tuple[str, SignalKind], pd.DataFrame]]:
    """Yield each signal of these kinds, and its rows."""
    of_kinds = frame[frame["kind"].isin(kinds)]
    for (site, kind), rows in of_kinds.groupby(["site", "kind"], sort=False):
        yield (str(site), SignalKind(str(kind))), rows


def only_length(*frames: pd.DataFrame) -> int | None:
    """Return the minutes of all values; None where they differ, or are none we forecast for.

    A forecast that is coarser than what is measured has no error of its own hours.
    """
    lengths = {minutes for rows in frames for minutes in rows["minutes"].unique()}
    only = int(lengths.pop()) if len(lengths) == 1 else None
    return only if only in RESOLUTIONS_MINUTES else None


def marked(sources: pd.Series[str], mark: str) -> pd.Series[str]:
    """Return sources that say what was done to their values as well."""
    return sources.map(lambda source: ", ".join(filter(None, (source, mark))))


def newest_age_hours(rows: pd.DataFrame, now: datetime) -> float | None:
    """Say how long ago the newest published value of ``rows`` was known [h]."""
    known_at = rows["known_at"][~is_own_forecast(rows["source"])].max()
    return None if pd.isna(known_at) else float((now - known_at) / timedelta(hours=1))


def signal_input(
    site: str,
    kind: SignalKind,
    rows: pd.DataFrame,
    row_of_step: Rows,
    is_filled: Flags,
    *,
    now: datetime,
    max_age: timedelta,
) -> SignalInput:
    """Tell what the slots of one signal rest on.

    Parameters
    ----------
    rows
        Values of the signal, with their origin.
    row_of_step
        Position in ``rows`` of the value of each step [slot, step of it]; -1 where there is none.
    is_filled
        Whether it is the value of an earlier day [slot, step of it].
    """
    is_missing = (row_of_step < 0).any(axis=1)
    filled = is_filled.any(axis=1) & ~is_missing
    forecast = _any(is_own_forecast(rows["source"]), row_of_step) & ~is_missing & ~filled
    has_value = row_of_step >= 0
    used = rows.iloc[np.unique(row_of_step[has_value])]
    age_hours = newest_age_hours(rows.iloc[np.unique(row_of_step[has_value & ~is_filled])], now)
    return SignalInput(
        site=site,
        kind=kind,
        published_slots=int((~is_missing & ~filled & ~forecast).sum()),
        forecast_slots=int(forecast.sum()),
        filled_slots=int(filled.sum()),
        missing_slots=int(is_missing.sum()),
        flagged_slots=int(_any(rows["is_flagged"], row_of_step).sum()),
        age_hours=age_hours,
        is_stale=age_hours is not None and age_hours > max_age / timedelta(hours=1),
        sources=tuple(sorted(set(used["source"]) - {""}))[:_MOST_SOURCES],
    )


def _any(holds: pd.Series, row_of_step: Rows) -> Flags:
    """Whether it holds of the row of any step of a slot."""
    of_row = np.append(holds.to_numpy(bool), False)  # -1, no row, finds the last
    found: Flags = of_row[row_of_step].sum(axis=1) > 0
    return found
