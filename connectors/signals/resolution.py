"""How long the interval of each value is, where nobody says."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from connectors.errors import ContractBroken

_LONGEST_MINUTES = 24 * 60
_STEPS_OF_A_PATTERN = 3  # as many equal long steps in a row are no gaps


def infer_minutes(owner: str, starts: pd.DatetimeIndex) -> int:
    """Return the minutes between the values of one series, told apart from its gaps.

    Parameters
    ----------
    owner
        File, site and kind, for the text of an error.
    starts
        Interval starts, ordered, each once.

    Raises
    ------
    ContractBroken
        One value alone, starts off any grid, or two resolutions in one series.
    """
    if len(starts) < 2:
        raise ContractBroken(f"{owner}: one value alone tells no interval: add a column minutes")
    steps = np.diff(starts.as_unit("ns").asi8) / 60e9
    lengths, counts = np.unique(steps, return_counts=True)
    usual = float(lengths[np.argmax(counts)])
    if usual != int(usual) or not 1 <= usual <= _LONGEST_MINUTES:
        raise ContractBroken(
            f"{owner}: values {usual:g} minutes apart, must be whole, 1 to {_LONGEST_MINUTES}"
        )
    _refuse_off_grid(owner, starts, steps, usual)
    _refuse_second_resolution(owner, starts, steps, usual)
    return int(usual)


def _refuse_off_grid(
    owner: str, starts: pd.DatetimeIndex, steps: NDArray[np.float64], usual: float
) -> None:
    off = np.flatnonzero(steps % usual != 0)
    if off.size:
        at = int(off[0])
        raise ContractBroken(
            f"{owner}: {starts[at + 1].isoformat()} is {steps[at]:g} minutes after the value"
            f" before it, must be a multiple of the usual {usual:g}; or add a column minutes"
        )


def _refuse_second_resolution(
    owner: str, starts: pd.DatetimeIndex, steps: NDArray[np.float64], usual: float
) -> None:
    at = 0
    for length, run in groupby(steps):
        count = len(list(run))
        if length != usual and count >= _STEPS_OF_A_PATTERN:
            raise ContractBroken(
                f"{owner}: from {starts[at].isoformat()} values are {length:g} minutes apart,"
                f" elsewhere {usual:g}: add a column minutes"
            )
        at += count


def step_minutes(starts: pd.DatetimeIndex, lengths: Sequence[int]) -> NDArray[np.int64]:
    """Return the length of every interval of a source that documents the ``lengths`` it has [min].

    Each is as long as the nearer of its neighbours is away, rounded down to a documented length, so
    that a gap makes none longer as long as one neighbour is there, and a change from hours to
    quarters is followed. What has none near is of the first length, the present one.

    Parameters
    ----------
    starts
        Ordered, each once; or not, then they are refused later.
    """
    if not len(starts):
        return np.zeros(0, dtype=np.int64)
    away = np.abs(np.diff(starts.as_unit("s").asi8)) / 60
    nearer = np.minimum(np.append(away, np.inf), np.insert(away, 0, np.inf))
    known = np.sort(np.asarray(lengths))
    at = np.searchsorted(known, nearer, side="right") - 1
    is_far = nearer > known[-1]
    found = np.where(is_far, lengths[0], known[np.clip(at, 0, None)])
    return np.asarray(found, dtype=np.int64)
