"""Energy of intervals from readings, each way apart, where they cover it; else it is not known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.types import Window
from scheduler.settlement.metering import LEAST_COVERED, pieces_of

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class BothWays:
    """Energy in the positive and in the negative direction of a power, each >= 0 [kWh]."""

    inward_kwh: float
    outward_kwh: float


def both_ways(
    windows: Sequence[Window], readings: Iterable[tuple[datetime, float]], longest_gap: timedelta
) -> tuple[BothWays | None, ...]:
    """Return the energy of each of ``windows``, which follow each other, from powers [kW].

    Between two readings power changes evenly; two further apart than ``longest_gap`` say nothing.
    Of a window that is covered by nine tenths or more, the rest is taken to be like it.
    """
    inward = [0.0] * len(windows)
    outward = [0.0] * len(windows)
    covered_s = [0.0] * len(windows)
    for piece in pieces_of(windows, readings, longest_gap):
        there, back = _areas(piece.from_kw, piece.to_kw, piece.length_s)
        inward[piece.window] += there
        outward[piece.window] += back
        covered_s[piece.window] += piece.length_s
    return tuple(
        _energy(window, *sums)
        for window, *sums in zip(windows, inward, outward, covered_s, strict=True)
    )


def _areas(from_kw: float, to_kw: float, length_s: float) -> tuple[float, float]:
    """Areas above and below zero under a straight line [kW s]."""
    if from_kw >= 0.0 <= to_kw:
        return (from_kw + to_kw) / 2 * length_s, 0.0
    if from_kw <= 0.0 >= to_kw:
        return 0.0, -(from_kw + to_kw) / 2 * length_s
    until_s = length_s * from_kw / (from_kw - to_kw)  # where it crosses zero
    before, after = abs(from_kw) * until_s / 2, abs(to_kw) * (length_s - until_s) / 2
    return (before, after) if from_kw > 0.0 else (after, before)


def _energy(window: Window, inward: float, outward: float, covered_s: float) -> BothWays | None:
    length_s = (window.end - window.start).total_seconds()
    if covered_s < LEAST_COVERED * length_s:
        return None
    whole = length_s / covered_s / _HOUR_S
    return BothWays(inward * whole, outward * whole)


def told_since(
    window: Window, readings: Sequence[tuple[datetime, float]], began_at: datetime
) -> float | None:
    """Return what a counter counted in ``window``; ``None``: it told nothing of it.

    It counts from 0 at ``began_at``, and again from 0 where it reads less than before. Between two
    readings it counts evenly.
    """
    total, is_told = 0.0, False
    from_at, from_count = began_at, 0.0
    for at, count in readings:
        grown = count - from_count if count >= from_count else count
        start, end = max(from_at, window.start), min(at, window.end)
        if at <= from_at:  # before anybody saw it run
            share = 1.0 if window.start <= from_at < window.end else 0.0
        else:
            share = max(0.0, (end - start) / (at - from_at))
        if share > 0.0:
            total, is_told = total + grown * share, True
        from_at, from_count = max(at, from_at), count
    return total if is_told else None
