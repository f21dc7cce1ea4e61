"""Values by themselves: one far from all others, and one that comes again and again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scheduler.quality.findings import Finding, Rule
from scheduler.quality.series import Floats, Ints, Series

LEAST_VALUES = 24  # of history, to know what is usual
_STUCK_MINUTES = 6 * 60
_STUCK_VALUES = 6
_STUCK_TIMES = 3.0  # the longest run there was before
_NEVER_STANDS_MINUTES = 24 * 60  # a signal that stood still so long may do so again
_PLACEHOLDERS = (999.0, 999.9, 9999.0, 9999.9, 99999.0, 999999.0)
_NEIGHBOUR = 0.25
_MOST_FINDINGS = 5


def outliers(history: Series, fresh: Series, times_usual: float) -> Iterator[Finding]:
    """Find values far outside of what is usual whose neighbours are not.

    Prices rise to a hundred times their median on a hot evening, by and by: it is standing alone
    that no evening explains. What stands for "no value" elsewhere need not stand alone.

    Parameters
    ----------
    times_usual
        How far from the usual range a value must lie, in widths of it.
    """
    if len(history) < LEAST_VALUES:
        return
    low, high = np.quantile(history.values, (0.01, 0.99))
    width = high - low
    if width <= 0:
        return
    whole = history.then(fresh)
    beyond = np.maximum(np.maximum(whole.values - high, low - whole.values), 0.0) / width
    before, after = np.append(0.0, beyond[:-1]), np.append(beyond[1:], 0.0)
    is_alone = (beyond > times_usual) & (np.maximum(before, after) < _NEIGHBOUR * beyond)
    is_placeholder = np.isin(np.abs(whole.values), _PLACEHOLDERS) & (beyond > 1.0)
    suspicious = (is_alone | is_placeholder) & np.isin(whole.starts, fresh.starts)
    for run in _together(np.flatnonzero(suspicious)):
        worst = run[np.argmax(beyond[run])]
        yield Finding(
            Rule.OUTLIER,
            int(whole.starts[run[0]]),
            int(whole.ends[run[-1]]),
            len(run),
            f"{whole.values[worst]:g} lies {beyond[worst]:.1f} times the usual range"
            f" ({low:g} .. {high:g}) outside of it",
        )


def stuck(history: Series, fresh: Series, *, zero_is_natural: bool) -> Iterator[Finding]:
    """Find one value that comes again and again, in a signal whose values change."""
    longest_before = _longest(history, zero_is_natural)
    if len(history) < LEAST_VALUES or longest_before >= _NEVER_STANDS_MINUTES:
        return
    limit = max(_STUCK_MINUTES, _STUCK_TIMES * longest_before)
    for first, last in _runs(fresh.values):
        minutes, n_values = int(fresh.ends[last] - fresh.starts[first]), last - first + 1
        is_natural = zero_is_natural and fresh.values[first] == 0
        if minutes > limit and n_values >= _STUCK_VALUES and not is_natural:
            yield Finding(
                Rule.STUCK,
                int(fresh.starts[first]),
                int(fresh.ends[last]),
                n_values,
                f"{fresh.values[first]:g} for {minutes / 60:g} h;"
                f" it never stood still for more than {longest_before / 60:g} h before",
            )


def _longest(series: Series, zero_is_natural: bool) -> int:
    return max(
        (
            int(series.ends[last] - series.starts[first])
            for first, last in _runs(series.values)
            if not (zero_is_natural and series.values[first] == 0)
        ),
        default=0,
    )


def _runs(values: Floats) -> Iterator[tuple[int, int]]:
    """Give first and last position of every run of equal values."""
    if not len(values):
        return
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True))
    begins = np.append(0, ends[:-1] + 1)
    yield from zip(begins.tolist(), ends.tolist(), strict=True)


def _together(positions: Ints) -> list[Ints]:
    """Gather positions that follow each other; all of them, where there are very many."""
    if not len(positions):
        return []
    parts = np.split(positions, np.flatnonzero(np.diff(positions) > 1) + 1)
    return parts if len(parts) <= _MOST_FINDINGS else [positions]
