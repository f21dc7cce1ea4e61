"""Lines of a bill: a quantity at a rate. Energy and demand are summed by period and tier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from scheduler.specs.urdb_parts import EnergyTier
from scheduler.tariffs.demand import BillingPeak

_PeriodAndTier = tuple[int, int]


@dataclass(frozen=True, slots=True)
class BillLine:
    """``quantity`` [``unit``] at ``rate`` in the site's currency per unit."""

    what: str
    quantity: float
    unit: str
    rate: float

    @property
    def amount(self) -> float:
        """What it costs; negative where it earns."""
        return self.quantity * self.rate


@dataclass(slots=True)
class EnergyBilled:
    """Energy by period and tier [kWh], as it is counted."""

    bought_kwh: dict[_PeriodAndTier, float] = field(default_factory=dict)
    sold_kwh: dict[_PeriodAndTier, float] = field(default_factory=dict)

    def buy(self, period: int, tier: int, kwh: float) -> None:
        """Count energy bought."""
        self.bought_kwh[period, tier] = self.bought_kwh.get((period, tier), 0.0) + kwh

    def sell(self, period: int, tier: int, kwh: float) -> None:
        """Count energy fed in."""
        if kwh > 0.0:
            self.sold_kwh[period, tier] = self.sold_kwh.get((period, tier), 0.0) + kwh

    def lines(self, periods: Sequence[Sequence[EnergyTier]]) -> Iterator[BillLine]:
        """Yield a line for each period and tier, what was bought first."""
        for (period, tier), kwh in sorted(self.bought_kwh.items()):
            what = f"energy, period {period}, tier {tier + 1}"
            yield BillLine(what, kwh, "kWh", periods[period][tier].price)
        for (period, tier), kwh in sorted(self.sold_kwh.items()):
            what = f"energy fed in, period {period}, tier {tier + 1}"
            yield BillLine(what, kwh, "kWh", -periods[period][tier].sell)


@dataclass(frozen=True, slots=True)
class DemandPeak:
    """The demand that one billing period of a charge is billed for."""

    peak: BillingPeak
    billed_kw: float


def demand_lines(charge: str, peaks: Sequence[DemandPeak]) -> Iterator[BillLine]:
    """Yield a line for each tier of a charge: kW in it, of all billing periods together."""
    sums: dict[int, tuple[float, float]] = {}
    for one in peaks:
        for number, (kw, price) in enumerate(_by_tier(one)):
            before, _ = sums.get(number, (0.0, price))
            sums[number] = before + kw, price
    for number, (kw, price) in sorted(sums.items()):
        if kw > 0.0:
            yield BillLine(f"demand, {charge}, tier {number + 1}", kw, "kW", price)


def _by_tier(one: DemandPeak) -> Iterator[tuple[float, float]]:
    start_kw, tiers = 0.0, one.peak.tiers
    for tier in tiers[:-1]:
        end_kw = tier.max or start_kw
        yield max(0.0, min(one.billed_kw, end_kw) - start_kw), tier.price
        start_kw = end_kw
    yield max(0.0, one.billed_kw - start_kw), tiers[-1].price
