"""Mean power of an interval from readings, where they cover it; else it is not known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from connectors.types import Window

LEAST_COVERED = 0.9
"""Share of an interval that readings must cover for its mean to count as metered."""


def mean_kw(
    windows: Sequence[Window], readings: Iterable[tuple[datetime, float]], longest_gap: timedelta
) -> tuple[float | None, ...]:
    """Return the mean of each of ``windows`` [kW], by trapezoids between ``readings``.

    Both are in order of time: windows by their start.
    Two readings further apart than ``longest_gap`` say nothing of what lies between them.
    """
    energy = [0.0] * len(windows)
    covered = [timedelta()] * len(windows)
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
                middle_s = ((start - at) + (end - at)).total_seconds() / 2
                energy[k] += (kw + slope * middle_s) * (end - start).total_seconds()
                covered[k] += end - start
    return tuple(
        energy[k] / covered[k].total_seconds()
        if covered[k] >= LEAST_COVERED * (window.end - window.start)
        else None
        for k, window in enumerate(windows)
    )
