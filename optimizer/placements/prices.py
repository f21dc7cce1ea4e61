"""What all jobs are priced at, at once."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.placements.options import Floats, Integers


@dataclass(frozen=True, slots=True)
class Prices:
    """What one more unit costs for one slot, and what a EUR of restarts or transfer costs more.

    Attributes
    ----------
    power_eur_per_kw
        IT power [site, slot].
    gpu_eur
        A GPU at work, and the power it draws beyond idling, by rate [rate, slot].
    money_eur_per_eur
        What a cost ceiling charges for money, on top of the operator's weights.
    """

    power_eur_per_kw: Floats
    gpu_eur: Floats
    money_eur_per_eur: float = 0.0


@dataclass(frozen=True, slots=True)
class Noise:
    """Prices that differ a little from job to job, so that jobs do not all do the same.

    A job sees, on top of a price of slot t of rate r, entry ``offset + r * n_slots + t`` of
    ``eur``, per GPU; ``offset`` is [job of the problem]. Where the table ends it repeats its last
    entry.
    """

    eur: Floats
    offset: Integers


def between(one: Prices, other: Prices, weight: float) -> Prices:
    """Return ``weight`` of one and the rest of the other."""
    rest = 1.0 - weight
    return Prices(
        weight * one.power_eur_per_kw + rest * other.power_eur_per_kw,
        weight * one.gpu_eur + rest * other.gpu_eur,
        weight * one.money_eur_per_eur + rest * other.money_eur_per_eur,
    )
