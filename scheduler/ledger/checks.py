"""What is wrong with an entry by itself: its balance, its sums, and its place in the chain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

TOLERANCE = 1e-9
"""Relative error of a sum."""

Values = Mapping[str, Any]
"""Columns of an entry or of a share, by name."""

_USED = ("jobs_kwh", "idle_kwh", "overhead_kwh", "base_load_kwh", "unexplained_kwh")
_SPENT = ("energy_eur", "network_eur", "generation_eur", "storage_wear_eur")


def used_kwh(entry: Values) -> float:
    """Return what was used in all [kWh] (L2)."""
    return sum(float(entry[name]) for name in _USED)


def paid_eur(entry: Values) -> float:
    """Return what was spent less what was earned [EUR]."""
    return sum(float(entry[name]) for name in _SPENT) - float(entry["sold_eur"])


def faults(entry: Values, shares: Sequence[Values]) -> Iterator[str]:
    """Name each sum that does not come out, and by how much."""
    there = [entry["bought_kwh"], entry["generated_kwh"], entry["discharged_kwh"]]
    gone = [*(entry[name] for name in _USED)]
    gone += [entry["charged_kwh"], entry["curtailed_kwh"], entry["sold_kwh"]]
    yield from _differs("energy in and out", there, gone, "kWh")
    yield from _differs("energy used and shares", [used_kwh(entry)], _all(shares, "kwh"), "kWh")
    spent = [*(entry[name] for name in _SPENT), -entry["sold_eur"]]
    yield from _differs("money and shares", spent, _all(shares, "eur"), "EUR")
    carbon = [entry["carbon_kg"]]
    yield from _differs("carbon and shares", carbon, _all(shares, "carbon_kg"), "kg")
    if entry["marginal_kg"] is not None:
        marginal = [entry["marginal_kg"]]
        parts = _all(shares, "marginal_kg")
        yield from _differs("marginal carbon and shares", marginal, parts, "kg")


def _all(shares: Sequence[Values], name: str) -> list[float]:
    return [share[name] or 0.0 for share in shares]


def _differs(what: str, one: Sequence[float], other: Sequence[float], unit: str) -> Iterator[str]:
    scale = max(sum(map(abs, one)), sum(map(abs, other)))
    apart = abs(sum(one) - sum(other))
    # Not ``>``: what is not a number differs.
    if not apart <= TOLERANCE * max(scale, 1e-6):
        yield f"{what} differ: {sum(one):.12g} and {sum(other):.12g} {unit}"


def digest_of(entry: Values, shares: Sequence[Values]) -> str:
    """Return the SHA-256 over every value of an entry and its shares, the hash before included."""
    whole = {"entry": _plain(entry), "shares": [_plain(share) for share in shares]}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(values: Values) -> dict[str, Any]:
    return {name: _as_kept(value) for name, value in values.items()}


def _as_kept(value: Any) -> Any:
    """Return a value as every database gives it back."""
    match value:
        case float():
            return value + 0.0  # SQLite keeps no negative zero
        case datetime():
            return value.astimezone(UTC).isoformat()
        case UUID():
            return str(value)
        case Mapping():
            return {str(name): _as_kept(one) for name, one in value.items()}
        case list() | tuple():
            return [_as_kept(one) for one in value]
    return value.value if isinstance(value, StrEnum) else value
