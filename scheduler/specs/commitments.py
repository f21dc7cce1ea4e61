"""What the fleet has promised the grid side: terms of calls, reserves, positions, backup."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scheduler.specs.base import (
    MOST,
    Instant,
    Minutes,
    Name,
    NonNegative,
    Positive,
    Spec,
    TimeZone,
    require_unique,
)

Sites = Annotated[tuple[Name, ...], Field(min_length=1, max_length=1000)]
Lots = Annotated[int, Field(ge=0, le=10_000)]


class CommitmentSpec(Spec):
    """A name, and the sites that keep it together."""

    name: Name
    sites: Sites


class CallsSpec(CommitmentSpec):
    """Terms of calls to import less, of one site or of several that answer together.

    They are those of calls of the only site, and of calls that name this instead of a site.

    Attributes
    ----------
    decline_eur
        What declining a call costs; ``None``: calls are not declined.
    notice_minutes
        A call that comes later than this before its start may be declined for nothing.
    baseline_kw
        What the sites are taken to import otherwise: payment is by the kWh between it and the
        call's limit. ``None``: such payment is forgone by what is above the limit, and by nothing
        else.
    pay_eur
        Paid for each call taken part in.
    rebound_kw, rebound_minutes, rebound_eur_per_kwh
        Import at most for so long after a call, and the price of more; ``None``: no such limit.
    """

    decline_eur: NonNegative | None = None
    notice_minutes: Minutes = 0.0
    baseline_kw: NonNegative | None = None
    pay_eur: NonNegative = 0.0
    rebound_kw: NonNegative | None = None
    rebound_minutes: Minutes = 0.0
    rebound_eur_per_kwh: NonNegative = 0.0


class SoldSpec(Spec):
    """Lots sold in the blocks that begin in [start_at, end_at)."""

    start_at: Instant
    end_at: Instant
    lots: Lots

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        _require_order("sold", self.start_at, self.end_at)
        return self


class ReserveSpec(CommitmentSpec):
    """A reserve that sites may sell: in whole lots, for blocks of hours of the local clock.

    Attributes
    ----------
    minutes
        How long full power must last.
    activation_s
        Time until full power.
    block_hours
        Length of a block; the first of a day begins at local midnight.
    gate_minutes
        So long before a block begins nothing more of it can be sold.
    eur_per_kw_hour
        Paid for a kW held for an hour.
    sold
        What is sold already; later entries come before earlier ones where both say something.
    """

    direction: Literal["up", "down", "symmetric"]
    lot_kw: Positive
    most_lots: Lots
    minutes: Minutes
    activation_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    time_zone: TimeZone = "UTC"
    block_hours: Literal[1, 2, 3, 4, 6, 8, 12, 24] = 4
    gate_minutes: Minutes = 0.0
    eur_per_kw_hour: NonNegative = 0.0
    missed_eur_per_kwh: NonNegative = 100.0
    sold: Annotated[tuple[SoldSpec, ...], Field(max_length=10_000)] = ()

    @model_validator(mode="after")
    def _no_more_sold_than_there_is(self) -> Self:
        for sold in self.sold:
            if sold.lots > self.most_lots:
                raise ValueError(
                    f"reserve {self.name}: sold.lots = {sold.lots},"
                    f" must be <= most_lots = {self.most_lots}"
                )
        return self


class AgreedSpec(Spec):
    """What is to be drawn in [start_at, end_at): imports less exports [kW]."""

    start_at: Instant
    end_at: Instant
    net_kw: Annotated[float, Field(ge=-MOST, le=MOST)]

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        _require_order("agreed", self.start_at, self.end_at)
        return self


class PositionSpec(CommitmentSpec):
    """Energy bought or sold ahead, and what drawing more or less costs beside its price."""

    over_eur_per_kwh: NonNegative
    under_eur_per_kwh: NonNegative
    agreed: Annotated[tuple[AgreedSpec, ...], Field(max_length=10_000)]


class BackupSpec(Spec):
    """Load that a site's batteries must carry alone for so long, whenever the grid goes."""

    critical_kw: Positive
    hours: Annotated[float, Field(gt=0, le=24 * 31)]


class CommitmentsSpec(Spec):
    """All that was agreed with the grid side."""

    calls: Annotated[tuple[CallsSpec, ...], Field(max_length=1000)] = ()
    reserves: Annotated[tuple[ReserveSpec, ...], Field(max_length=100)] = ()
    positions: Annotated[tuple[PositionSpec, ...], Field(max_length=100)] = ()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        kinds: dict[str, tuple[CommitmentSpec, ...]] = {
            "calls": self.calls,
            "reserve": self.reserves,
            "position": self.positions,
        }
        for kind, some in kinds.items():
            require_unique("commitments", kind, (one.name for one in some))
            for one in some:
                require_unique(f"{kind} {one.name}", "site", one.sites)
        alone = [one.sites[0] for one in self.calls if len(one.sites) == 1]
        require_unique("commitments", "calls of site", alone)
        return self

    def unknown_sites(self, names: set[str]) -> Iterator[str]:
        """Yield what is wrong with ``names`` being all sites there are."""
        every: tuple[CommitmentSpec, ...] = (*self.calls, *self.reserves, *self.positions)
        for one in every:
            for site in one.sites:
                if site not in names:
                    yield f"commitment {one.name}: no site {site!r}"
        for calls in self.calls:
            if calls.name in names and calls.sites != (calls.name,):
                yield f"commitment {calls.name}: must not have the name of a site beside its own"


def _require_order(owner: str, start_at: Instant, end_at: Instant) -> None:
    if end_at <= start_at:
        raise ValueError(
            f"{owner}: end_at = {end_at.isoformat()}, must be after {start_at.isoformat()}"
        )
