"""What was known when: a bitemporal table of signals, in memory, asked as the database is asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from connectors.types import Window
from scheduler.services.signals import LONGEST_MINUTES

_INTERVAL = ["site", "kind", "start_at"]


@dataclass(frozen=True, slots=True)
class SignalHistory:
    """Every value of every signal with the time it was known, the last known of each last.

    Attributes
    ----------
    table
        Columns ``site``, ``kind``, ``start_at`` and ``known_at`` (UTC), ``minutes``, ``value``
        [``kind.unit``], and any others; sorted by interval, then by ``known_at``.
    """

    table: pd.DataFrame
    _start: npt.NDArray[np.int64]
    _end: npt.NDArray[np.int64]
    _known: npt.NDArray[np.int64]

    @classmethod
    def of(cls, table: pd.DataFrame) -> Self:
        """Take a table in any order.

        Raises
        ------
        ValueError
            A value has no ``known_at``, or two are known of one interval at one instant.
        """
        unknown = table["known_at"].isna()
        if unknown.any():
            first = table[unknown].iloc[0]
            raise ValueError(
                f"signal {first['site']}/{first['kind']} at {first['start_at'].isoformat()}:"
                " known_at is missing, must be an instant"
            )
        ordered = table.sort_values([*_INTERVAL, "known_at"], kind="stable", ignore_index=True)
        twice = ordered.duplicated([*_INTERVAL, "known_at"])
        if twice.any():
            first = ordered[twice].iloc[0]
            raise ValueError(
                f"signal {first['site']}/{first['kind']} at {first['start_at'].isoformat()}:"
                f" two values known at {first['known_at'].isoformat()}, must be one"
            )
        start = _nanoseconds(ordered["start_at"])
        length = ordered["minutes"].to_numpy(np.int64) * 60 * 10**9
        return cls(ordered, start, start + length, _nanoseconds(ordered["known_at"]))

    def as_known(self, span: Window, now: datetime) -> pd.DataFrame:
        """Give what ``services.signals.signals_frame`` gives of a database with these values.

        That is, of each interval that overlaps ``span``, the value known last at ``now``.
        """
        earliest = span.start - timedelta(minutes=LONGEST_MINUTES)
        is_asked = (
            (self._start >= _instant(earliest))
            & (self._start < _instant(span.end))
            & (self._end > _instant(span.start))
            & (self._known <= _instant(now))
        )
        return self._last_known(is_asked)

    def as_expected(self, span: Window, now: datetime) -> pd.DataFrame:
        """Give of each interval in ``span`` that began by ``now`` what was known as it began."""
        is_asked = (
            (self._start >= _instant(span.start))
            & (self._start < _instant(min(span.end, now)))
            & (self._known <= self._start)
        )
        return self._last_known(is_asked)

    def every_value(self, span: Window, now: datetime) -> pd.DataFrame:
        """Give every value known at ``now`` of intervals that start in ``span``."""
        is_asked = (
            (self._start >= _instant(span.start))
            & (self._start < _instant(span.end))
            & (self._known <= _instant(now))
        )
        return self.table[is_asked].reset_index(drop=True)

    def _last_known(self, is_asked: npt.NDArray[np.bool_]) -> pd.DataFrame:
        return self.table[is_asked].drop_duplicates(_INTERVAL, keep="last").reset_index(drop=True)


@dataclass(frozen=True, slots=True)
class Signals:
    """What was known when, and what truly came (``known_at``: at once)."""

    history: SignalHistory
    truth: pd.DataFrame


DAY_AHEAD_AT = timedelta(hours=12, minutes=45)
"""When prices of a local day are published, on the clock of the day before."""


def day_ahead_known_at(
    starts: pd.Series[pd.Timestamp], time_zone: str, published: timedelta = DAY_AHEAD_AT
) -> pd.Series[pd.Timestamp]:
    """Tell since when a day-ahead price of each interval was known: the day before its local day.

    Where the clock skips that time, an hour later; where it comes twice, the first time.
    """
    local_day = starts.dt.tz_convert(time_zone).dt.tz_localize(None).dt.normalize()
    on_the_clock = local_day - pd.Timedelta(days=1) + published
    is_first = np.ones(len(on_the_clock), dtype=bool)
    known: pd.Series[pd.Timestamp] = on_the_clock.dt.tz_localize(
        time_zone, ambiguous=is_first, nonexistent=pd.Timedelta(hours=1)
    ).dt.tz_convert("UTC")
    return known


def _nanoseconds(instants: pd.Series[pd.Timestamp]) -> npt.NDArray[np.int64]:
    return (
        instants.dt.tz_convert("UTC").dt.as_unit("ns").to_numpy("datetime64[ns]").astype(np.int64)
    )


def _instant(instant: datetime) -> int:
    return int(pd.Timestamp(instant).as_unit("ns").value)
