"""Shared input checks: each names the object, the value and the limit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from optimizer.errors import InvalidProblem

Series = tuple[float, ...]
"""One value per slot."""


def require_finite(owner: str, field: str, value: float) -> None:
    """Refuse NaN and infinities."""
    if not math.isfinite(value):
        raise InvalidProblem(owner, field, value, "a finite number")


def require_at_least(owner: str, field: str, value: float, minimum: float) -> None:
    """Refuse a value below ``minimum``, and NaN."""
    require_finite(owner, field, value)
    if value < minimum:
        raise InvalidProblem(owner, field, value, f">= {minimum:g}")


def require_above(owner: str, field: str, value: float, bound: float) -> None:
    """Refuse a value at or below ``bound``, and NaN."""
    require_finite(owner, field, value)
    if value <= bound:
        raise InvalidProblem(owner, field, value, f"> {bound:g}")


def require_within(owner: str, field: str, value: float, low: float, high: float) -> None:
    """Refuse a value outside [low, high], and NaN."""
    require_finite(owner, field, value)
    if not low <= value <= high:
        raise InvalidProblem(owner, field, value, f"within [{low:g}, {high:g}]")


def require_series(owner: str, field: str, values: Sequence[float], minimum: float | None) -> None:
    """Refuse a series with a value that is not finite or is below ``minimum``."""
    for slot, value in enumerate(values):
        if minimum is None:
            require_finite(owner, f"{field}[{slot}]", value)
        else:
            require_at_least(owner, f"{field}[{slot}]", value, minimum)


def require_unique(owner: str, field: str, names: Iterable[str]) -> None:
    """Refuse a name that occurs twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidProblem(owner, field, name, "unique")
        seen.add(name)
