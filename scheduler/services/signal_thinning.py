"""Which superseded values may go. Pure: arrays in, a decision for each value out.

A value that became known at k and was superseded at n (the next value for its interval) is what
questions about instants in [k, n) are answered with, and no others. It is kept where anybody may
still ask about one of these:

- n lies after the limit of detail: everything since then is answered exactly;
- one of them is a whole multiple of ``grid`` since 1970: what was known then stays one publication,
  not a mixture of several;
- one of them is when its interval began: what was known last before delivery;
- one of them is when a stored plan read its inputs, of a plan whose signals it may have been among.

What was never superseded is kept in any case.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Instants = npt.NDArray[np.int64]  # microseconds since 1970
Flags = npt.NDArray[np.bool_]


def may_go(
    start: Instants,
    known: Instants,
    superseded: Instants,
    *,
    limit: int,
    grid: int,
    plans: tuple[Instants, Instants],
) -> Flags:
    """Say of each superseded value whether nobody can ask for it any more.

    Parameters
    ----------
    start, known, superseded
        Of each value [microsecond since 1970]; ``known`` < ``superseded``.
    limit
        Since when everything is answered exactly [microsecond since 1970].
    grid
        Distance of the older instants that are answered exactly too [microsecond].
    plans
        First and last instant at which each plan may have read signals, both included and in order.
    """
    is_detailed = superseded > limit
    is_of_grid = -(-known // grid) * grid < superseded
    is_last_before_delivery = (known <= start) & (start < superseded)
    first, last = plans
    # Plans that began to read before it was superseded, less those that had before it was known.
    is_of_plan = np.searchsorted(first, superseded) > np.searchsorted(last, known)
    return ~(is_detailed | is_of_grid | is_last_before_delivery | is_of_plan)
