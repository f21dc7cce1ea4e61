"""What is not there, and what came late."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scheduler.quality.findings import Finding, Rule
from scheduler.quality.series import Ints, Series

_MOST_FINDINGS = 5


def gaps(history: Series, fresh: Series) -> Iterator[Finding]:
    """Find times without a value between the values before and the last of these."""
    whole = history.then(fresh)
    reached = np.maximum.accumulate(whole.ends)[:-1]
    begins_late = np.flatnonzero(whole.starts[1:] > reached)
    first = fresh.starts[0]
    holes = [(int(reached[at]), int(whole.starts[at + 1])) for at in begins_late]
    # Older ones were found when what follows them came.
    holes = [hole for hole in holes if hole[1] >= first]
    if len(holes) > _MOST_FINDINGS:
        yield _gap(holes[0][0], holes[-1][1], sum(end - start for start, end in holes), len(holes))
    else:
        for start, end in holes:
            yield _gap(start, end, end - start, 1)


def _gap(start: int, end: int, minutes: int, n_holes: int) -> Finding:
    where = "" if n_holes == 1 else f", in {n_holes} places"
    return Finding(Rule.GAP, start, end, 0, f"no value for {minutes / 60:g} h{where}")


def late(fresh: Series, known: Ints, now_minute: int, max_age_minutes: float) -> Iterator[Finding]:
    """Find values for a time that is not over which were known long before they came.

    ``known`` is since when each value is known [minute since 1970].
    """
    is_late = (fresh.ends > now_minute) & (now_minute - known > max_age_minutes)
    if is_late.any():
        found = np.flatnonzero(is_late)
        age_hours = (now_minute - int(known[found].max())) / 60
        yield Finding(
            Rule.STALE,
            int(fresh.starts[found[0]]),
            int(fresh.ends[found[-1]]),
            len(found),
            f"came {age_hours:.0f} h after it was made (limit {max_age_minutes / 60:g} h)",
        )
