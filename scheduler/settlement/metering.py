"""Mean power of an interval from readings, where they cover it; else it is not known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from connectors.types import Window

LEAST_COVERED = 0.9
"""Share of an interval that readings must cover for its mean to count as metered."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What two readings say of one of some windows: power changes evenly over so long."""

    window: int
    from_kw: float
    to_kw: float
    length_s: float


def pieces_of(
    windows: Sequence[Window], readings: Iterable[tuple[datetime, float]], longest_gap: timedelta
) -> Iterator[Piece]:
    """Lay readings [kW] over ``windows``, piece by piece.

    Both are in order of time: windows by their start.
    Two readings further apart than ``longest_gap`` say nothing of what lies between them.
    """
    first = 0
    for (at, kw), (next_at, next_kw) in pairwise(readings):
        if not timedelta() < next_at - at <= longest_gap:
            continue
        while first < len(windows) and windows[first].end <= at:
            first += 1
        slope = (next_kw - kw) / (next_at - at).total_seconds()
        for k in range(first, len(windows)):
            if windows[k].start >= next_at:
                break
            start, end = max(at, windows[k].start), min(next_at, windows[k].end)
            if start < end:
                from_kw = kw + slope * (start - at).total_seconds()
                to_kw = kw + slope * (end - at).total_seconds()
                yield Piece(k, from_kw, to_kw, (end - start).total_seconds())


def mean_kw(
    windows: Sequence[Window], readings: Iterable[tuple[datetime, float]], longest_gap: timedelta
) -> tuple[float | None, ...]:
    """Return the mean of each of ``windows`` [kW], by trapezoids between ``readings``."""
    energy_kws = [0.0] * len(windows)
    covered_s = [0.0] * len(windows)
    for piece in pieces_of(windows, readings, longest_gap):
        energy_kws[piece.window] += (piece.from_kw + piece.to_kw) / 2 * piece.length_s
        covered_s[piece.window] += piece.length_s
    return tuple(
        energy_kws[k] / covered_s[k]
        if covered_s[k] >= LEAST_COVERED * (window.end - window.start).total_seconds()
        else None
        for k, window in enumerate(windows)
    )
