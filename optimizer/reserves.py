"""Reserves a site sells: power it can give or take when called, kept free for blocks of slots.

Batteries hold them with headroom in power and energy, jobs with load that can be shed in time.
"""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.checks import require_above, require_at_least, require_unique
from optimizer.errors import InvalidProblem

LOAD = ""
"""Name of the source that is load, among those of a site that are batteries."""


@dataclass(frozen=True, slots=True)
class ReserveBlock:
    """Slots [start_slot, end_slot) in which one and the same reserve is held.

    Attributes
    ----------
    eur_per_kw
        Paid for each kW held throughout.
    sold_lots
        Sold already: these are to be held, and what of them is not is a priced violation.
    is_closed
        Nothing more can be sold: its gate is closed.
    """

    start_slot: int
    end_slot: int
    eur_per_kw: float
    sold_lots: int = 0
    is_closed: bool = False

    def __post_init__(self) -> None:
        require_at_least("reserve block", "start_slot", self.start_slot, 0)
        require_at_least("reserve block", "end_slot", self.end_slot, self.start_slot + 1)
        require_at_least("reserve block", "eur_per_kw", self.eur_per_kw, 0.0)
        require_at_least("reserve block", "sold_lots", self.sold_lots, 0)


@dataclass(frozen=True, slots=True)
class ReserveProduct:
    """What can be sold: in whole lots, upward, downward or, where it is both, alike.

    Attributes
    ----------
    sites
        Who holds it together.
    blocks
        Its blocks, in order and apart.
    lot_kw, most_lots
        Size of a lot [kW], and how many can be sold in a block.
    hours
        How long full power must last in each direction, from either end of a slot.
    activation_s
        Time until full power. Only load that is shed within it counts.
    missed_eur_per_kwh
        Penalty of a kW that is sold and not held for an hour.
    """

    name: str
    sites: tuple[str, ...]
    blocks: tuple[ReserveBlock, ...]
    lot_kw: float
    most_lots: int
    hours: float
    activation_s: float = 0.0
    missed_eur_per_kwh: float = 100.0
    is_up: bool = True
    is_down: bool = False

    def __post_init__(self) -> None:
        owner = f"reserve {self.name}"
        if not self.sites:
            raise InvalidProblem(owner, "sites", (), "at least one site")
        require_unique(owner, "site", self.sites)
        require_above(owner, "lot_kw", self.lot_kw, 0.0)
        for name in ("most_lots", "hours", "activation_s", "missed_eur_per_kwh"):
            require_at_least(owner, name, getattr(self, name), 0.0)
        if not (self.is_up or self.is_down):
            raise InvalidProblem(owner, "is_up", False, "up, down or both")
        free_from = 0
        for block in self.blocks:
            require_at_least(owner, "start_slot of a block", block.start_slot, free_from)
            free_from = block.end_slot
            if block.sold_lots > self.most_lots:
                raise InvalidProblem(owner, "sold_lots", block.sold_lots, f"<= {self.most_lots}")

    @property
    def directions(self) -> tuple[str, ...]:
        """``up`` and ``down``, as far as it asks for them."""
        return ("up",) * self.is_up + ("down",) * self.is_down

    def most_lots_in(self, block: ReserveBlock) -> int:
        """Return how many lots can be sold in ``block``."""
        return block.sold_lots if block.is_closed else self.most_lots

    def slots(self, n_slots: int) -> dict[int, int]:
        """Return the block of each slot of the horizon that is in one."""
        return {
            slot: number
            for number, block in enumerate(self.blocks)
            for slot in range(block.start_slot, min(block.end_slot, n_slots))
        }
