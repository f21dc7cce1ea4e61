"""What a plan's own energy does to tiers: planned at one, part of it is billed at the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

from optimizer import SiteFlows
from scheduler.services.assemble import Assembled
from scheduler.services.assemble_peaks import hours_of
from scheduler.services.window import PlanWindow
from scheduler.specs import FleetSpec
from scheduler.specs.fleet import SiteSpec
from scheduler.specs.tariff import TariffSpec
from scheduler.tariffs.energy import MonthEnergy, bought_by_tier, energy_period, tier_at
from scheduler.tariffs.local_time import local_hour

_LEAST = 0.005
"""Differences below half a cent are none."""


def tier_crossings(
    fleet: FleetSpec, assembled: Assembled, flows: Sequence[SiteFlows]
) -> Iterator[str]:
    """Say of each site and month how much more or less its energy will be billed than planned."""
    by_site = {flow.site: flow for flow in flows}
    for spec in fleet.sites:
        if spec.tariff is not None and any(
            len(t) > 1 for t in spec.tariff.urdb.energyratestructure
        ):
            so_far_kwh = assembled.energy_so_far_kwh[spec.name]
            import_kw = by_site[spec.name].import_kw
            off = _off_by_month(spec, spec.tariff, assembled.window, so_far_kwh, import_kw)
            for month, amount in off.items():
                if abs(amount) >= _LEAST:
                    more = "more" if amount > 0.0 else "less"
                    yield (
                        f"{spec.name} tariff: what the plan buys in {month} passes into another"
                        f" tier; it will be billed {abs(amount):.2f} {spec.currency} {more} than"
                        " planned"
                    )


def _off_by_month(
    spec: SiteSpec,
    tariff: TariffSpec,
    window: PlanWindow,
    so_far_kwh: tuple[float, ...],
    import_kw: Sequence[float],
) -> dict[str, float]:
    """Return billed less planned cost of energy in each month of the window."""
    first = local_hour(window.start, ZoneInfo(spec.time_zone)).month
    energy = {first: MonthEnergy(first, so_far_kwh)}
    began = dict(energy)
    off: dict[str, float] = {}
    period_of = energy_period(tariff)
    for power_kw, hours in zip(import_kw, hours_of(spec, window), strict=True):
        for hour, share in hours.items():
            month, period = hour.month, period_of(hour)
            if month not in energy:
                energy[month] = began[month] = MonthEnergy.nothing(tariff, month)
            tiers = tariff.urdb.energyratestructure[period]
            counted_kwh = began[month].counted_kwh(tariff, period)
            planned = tiers[tier_at(tariff, period, month, counted_kwh)].price
            kwh = power_kw * window.slot_hours * share
            parts, energy[month] = bought_by_tier(tariff, energy[month], period, kwh)
            billed = sum((tiers[tier].price - planned) * part_kwh for tier, part_kwh in parts)
            off[month] = off.get(month, 0.0) + billed
    return off
