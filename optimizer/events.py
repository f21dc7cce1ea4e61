"""Calls of the grid side to import less for a while, for which it pays: demand-response events.

A ``CapacityLimit`` is imposed; an event is offered, may have a fee instead, and may ask several
sites together. Both are import that is too high at a price, in slots.
"""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.checks import Series, require_at_least, require_series, require_unique
from optimizer.errors import InvalidProblem


@dataclass(frozen=True, slots=True)
class DemandEvent:
    """A call to import no more than a level, slot by slot, and not to catch up too fast afterwards.

    Attributes
    ----------
    sites
        Whose import counts, in sum: one site, or several that answer together.
    start_slot
        Slot of the first of ``level_kw``.
    level_kw
        Import at most [slot of the event]; see ``firm_levels`` and ``drop_levels``.
    missed_eur_per_kwh
        Penalty of what is imported above the level.
    pay_eur
        Paid for taking part; penalties come on top.
    decline_eur
        What not taking part costs. ``None``: it cannot be declined.
    rebound_kw
        Import at most in the slots directly after ``level_kw`` [slot].
    rebound_eur_per_kwh
        Penalty of what is imported above that.
    """

    name: str
    sites: tuple[str, ...]
    start_slot: int
    level_kw: Series
    missed_eur_per_kwh: float
    pay_eur: float = 0.0
    decline_eur: float | None = None
    rebound_kw: Series = ()
    rebound_eur_per_kwh: float = 0.0

    def __post_init__(self) -> None:
        owner = f"event {self.name}"
        if not self.sites:
            raise InvalidProblem(owner, "sites", (), "at least one site")
        require_unique(owner, "site", self.sites)
        require_at_least(owner, "start_slot", self.start_slot, 0)
        require_at_least(owner, "len(level_kw)", len(self.level_kw), 1)
        require_series(owner, "level_kw", self.level_kw, 0.0)
        require_series(owner, "rebound_kw", self.rebound_kw, 0.0)
        for name in ("missed_eur_per_kwh", "pay_eur", "rebound_eur_per_kwh"):
            require_at_least(owner, name, getattr(self, name), 0.0)
        if self.decline_eur is not None:
            require_at_least(owner, "decline_eur", self.decline_eur, 0.0)

    @property
    def end_slot(self) -> int:
        """Slot in which it is over."""
        return self.start_slot + len(self.level_kw)

    @property
    def may_be_declined(self) -> bool:
        """Whether taking part is a choice."""
        return self.decline_eur is not None

    @property
    def parts(self) -> tuple[EventPart, EventPart]:
        """The call itself, and what follows it."""
        call = EventPart("demand_response", self.start_slot, self.level_kw, self.missed_eur_per_kwh)
        after = EventPart("rebound", self.end_slot, self.rebound_kw, self.rebound_eur_per_kwh)
        return call, after


@dataclass(frozen=True, slots=True)
class EventPart:
    """Import at most ``limit_kw``, slot by slot from ``start_slot`` on, at a price above it.

    ``kind`` is that of the violation.
    """

    kind: str
    start_slot: int
    limit_kw: Series
    eur_per_kwh: float

    def limits(self, n_slots: int) -> dict[int, float]:
        """Return the limit of each slot of the horizon that has one [kW]."""
        within = self.limit_kw[: max(0, n_slots - self.start_slot)]
        return {self.start_slot + k: limit for k, limit in enumerate(within)}


def firm_levels(level_kw: float, n_slots: int, before_kw: float, ramp_slots: int = 0) -> Series:
    """Return levels that come down from ``before_kw`` in equal steps, and stay at ``level_kw``.

    After ``ramp_slots`` slots of coming down, the next is the first at the level itself.
    """
    return drop_levels((before_kw,) * n_slots, max(0.0, before_kw - level_kw), ramp_slots)


def drop_levels(baseline_kw: Series, drop_kw: float, ramp_slots: int = 0) -> Series:
    """Return levels below a given baseline, the drop growing in equal steps over the ramp."""
    shares = (min(1.0, (k + 1) / (ramp_slots + 1)) for k in range(len(baseline_kw)))
    pairs = zip(baseline_kw, shares, strict=True)
    return tuple(max(0.0, before - share * drop_kw) for before, share in pairs)
