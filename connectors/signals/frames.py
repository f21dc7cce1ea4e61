"""The frame every source gives: built in one place, and checked before anybody uses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from connectors.errors import ContractBroken, Rejected
from connectors.signals.limits import PLAUSIBLE, is_unit_of
from connectors.source_info import SourceInfo
from connectors.types import SignalKind, Window

FRAME_COLUMNS = ("start_at", "minutes", "value", "unit", "known_at")
LONGEST_MINUTES = 25 * 60  # a local day, where an hour comes twice
MOST_VALUES = 200_000  # in one answer: more than a year of five minutes
_INSTANT: Final = "datetime64[us, UTC]"


@dataclass(frozen=True, slots=True)
class Question:
    """What a source was asked; the owner that every error names."""

    source: str
    zone: str
    kind: SignalKind
    window: Window

    def __str__(self) -> str:
        return f"{self.source}: {self.kind.value} of {self.zone}"


def require_offer(info: SourceInfo, zone: str, kind: SignalKind) -> None:
    """Refuse what the source says itself it does not have.

    Raises
    ------
    Rejected
        With the kinds, or the zones, that there are.
    """
    kinds = info.kinds_in(zone)
    if kind in kinds:
        return
    if kinds:
        known = ", ".join(kinds)
        raise Rejected(f"{info.name}: no {kind.value} in zone {zone!r}, there is {known}")
    zones = sorted({one for offer in info.offers for one in offer.zones})
    raise Rejected(f"{info.name}: no zone {zone!r}, there are {', '.join(zones)}")


def signal_frame(
    asked: Question,
    starts: Sequence[datetime] | pd.DatetimeIndex,
    minutes: Sequence[int] | NDArray[np.int64] | int,
    values: Sequence[float] | NDArray[np.float64],
    unit: str,
    known_at: Sequence[datetime | None] | datetime | None = None,
) -> pd.DataFrame:
    """Build and check the answer to one question; what lies outside of its window is left out.

    Parameters
    ----------
    starts
        Aware, in any order.
    minutes
        Length of each interval, or of all.
    unit
        As the source states it, else as its documentation does.
    known_at
        When each value was published, or all were; ``None``: it does not say.

    Raises
    ------
    ContractBroken
        Naming the first value that is not what was agreed.
    """
    if not is_unit_of(asked.kind, unit):
        raise ContractBroken(f"{asked}: unit = {unit!r}, must be {asked.kind.unit}")
    if len(starts) > MOST_VALUES:
        raise ContractBroken(f"{asked}: {len(starts)} values, must be <= {MOST_VALUES}")
    frame = pd.DataFrame(
        {
            "start_at": pd.to_datetime(pd.Index(starts), utc=True).astype(_INSTANT),
            "minutes": np.broadcast_to(np.asarray(minutes, dtype=np.int64), len(starts)),
            "value": np.asarray(values, dtype=np.float64),
            "unit": pd.Series([unit] * len(starts), dtype=object).to_numpy(),
            "known_at": _instants(known_at, len(starts)),
        }
    )
    is_asked = (frame["start_at"] >= asked.window.start) & (frame["start_at"] < asked.window.end)
    frame = frame[is_asked].sort_values("start_at", kind="stable", ignore_index=True)
    _require_agreed(asked, frame)
    return frame


def _instants(known_at: Sequence[datetime | None] | datetime | None, n: int) -> pd.Series:
    each = known_at if isinstance(known_at, Sequence) else [known_at] * n
    instants = pd.Series([pd.NaT if one is None else pd.Timestamp(one) for one in each])
    return pd.to_datetime(instants, utc=True).astype(_INSTANT)


def _require_agreed(asked: Question, frame: pd.DataFrame) -> None:
    least, most = PLAUSIBLE[asked.kind]
    values, minutes = frame["value"], frame["minutes"]
    ends = frame["start_at"] + pd.to_timedelta(minutes, unit="min")
    faults = (
        (~np.isfinite(values), "value", "a finite number"),
        (~values.between(least, most), "value", f"within [{least:g}, {most:g}] {asked.kind.unit}"),
        (~minutes.between(1, LONGEST_MINUTES), "minutes", f"within [1, {LONGEST_MINUTES}]"),
        (frame["start_at"].duplicated(), "start_at", "once"),
        (frame["start_at"] < ends.shift(), "start_at", "at or after the end of the one before"),
    )
    for is_bad, column, limit in faults:
        bad = np.flatnonzero(np.asarray(is_bad, dtype=bool))
        if bad.size:
            row = frame.iloc[int(bad[0])]
            raise ContractBroken(
                f"{asked}, {row['start_at'].isoformat()}: {column} = {row[column]!s},"
                f" must be {limit}"
            )
