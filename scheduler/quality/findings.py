"""What is found, and by which rule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Rule(StrEnum):
    """What is suspicious about values that came in."""

    GAP = "gap"  # intervals between others have none
    STALE = "stale"  # made long before it came, for a time that is not over
    OUTLIER = "outlier"  # one far from all others, and alone
    UNIT = "unit"  # off by a power of ten
    SHIFT = "shift"  # off by whole hours, as local time taken for UTC is
    STUCK = "stuck"  # one value again and again
    SIGN = "sign"  # positive for negative


@dataclass(frozen=True, slots=True)
class Finding:
    """Values from ``start_minute`` to ``end_minute`` since 1970 that one rule finds suspicious."""

    rule: Rule
    start_minute: int
    end_minute: int
    n_values: int  # 0: of a gap
    reason: str

    @property
    def start_at(self) -> datetime:
        """Start of the first interval."""
        return instant(self.start_minute)

    @property
    def end_at(self) -> datetime:
        """End of the last interval."""
        return instant(self.end_minute)


def instant(minute: int) -> datetime:
    """Turn minutes since 1970 to an instant."""
    return _EPOCH + timedelta(minutes=minute)
