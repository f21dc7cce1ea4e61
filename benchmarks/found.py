"""What a rival found, in terms that need no solver to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Place = tuple[int, tuple[int, ...]]
"""Number of the site, and the slots a job runs in, in order."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where jobs run, and what that costs by the reckoning of whoever found it.

    Attributes
    ----------
    places
        ``None`` for a job that is left out [job].
    own_eur, bound_eur
        Objective, and what was proven; ``None`` where nothing was.
    seconds
        From the numbers or the problem to the places.
    note
        How large its model was.
    """

    places: tuple[Place | None, ...]
    own_eur: float
    bound_eur: float | None
    seconds: float
    note: str = ""


def adjacent(slots: Sequence[int]) -> list[tuple[int, int]]:
    """Return the half-open intervals that ``slots``, which are in order, fill."""
    cuts = [0, *(k for k in range(1, len(slots)) if slots[k] != slots[k - 1] + 1), len(slots)]
    return [(slots[first], slots[last - 1] + 1) for first, last in pairwise(cuts)]
