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
        Import at most [slot of the event].
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
