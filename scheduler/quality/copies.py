"""Values that are known already, but in another unit, at another hour or with the other sign."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scheduler.quality.days import SHIFTS
from scheduler.quality.series import Floats

_LEAST_HOURS = 6
_MOST = 0.9
_FEW = 0.5


def factor_of_copy(known: Floats, fresh: Floats, factors: Sequence[float]) -> float | None:
    """Say which of ``factors`` times the values known of the same hours these are.

    Both are by hour, ``known`` with ``len(SHIFTS) // 2`` hours more at either end.
    """
    same_hours = _moved(known, 0, len(fresh))
    if _share_equal(same_hours, fresh, least_distinct=1) > _FEW:
        return None
    for factor in factors:
        if _share_equal(factor * same_hours, fresh) >= _MOST:
            return factor
    return None


def shift_of_copy(known: Floats, fresh: Floats) -> int | None:
    """Say how many hours after those they are equal to the values come; as ``factor_of_copy``."""
    if _share_equal(_moved(known, 0, len(fresh)), fresh, least_distinct=1) > _FEW:
        return None
    shares = {k: _share_equal(_moved(known, k, len(fresh)), fresh) for k in SHIFTS}
    best = max(shares, key=lambda k: shares[k])
    return best if shares[best] >= _MOST else None


def _moved(known: Floats, k: int, n_hours: int) -> Floats:
    begin = len(SHIFTS) // 2 - k
    return known[begin : begin + n_hours]


def _share_equal(known: Floats, fresh: Floats, least_distinct: int = _LEAST_HOURS) -> float:
    """Of the hours that both tell of, the share with equal values; 0 where that says little."""
    both = ~np.isnan(known) & ~np.isnan(fresh)
    if both.sum() < _LEAST_HOURS or len(np.unique(fresh[both])) < least_distinct:
        return 0.0
    return float(np.isclose(known[both], fresh[both], rtol=1e-6, atol=1e-9).mean())
