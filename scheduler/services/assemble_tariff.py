"""What a site's tariff makes of the price of energy in a window, and what it leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from scheduler.services.assemble_peaks import hours_of
from scheduler.services.assemble_signals import Values
from scheduler.services.window import PlanWindow
from scheduler.specs.fleet import SiteSpec
from scheduler.specs.tariff import TariffSpec
from scheduler.tariffs.energy import EnergyRates, MonthEnergy, energy_rates, tier_ends_kwh
from scheduler.tariffs.local_time import local_hour

EnergySoFar = Mapping[str, tuple[float, ...]]
"""Energy bought before a window in the month it begins in, by site and period [kWh]."""


@dataclass(frozen=True, slots=True)
class TariffPrices:
    """Prices of energy under a tariff by slot, in site currency, and what is to be known."""

    import_per_mwh: Values
    export_per_mwh: Values
    marks: tuple[str, ...]


def assemble_tariff(
    spec: SiteSpec, tariff: TariffSpec, window: PlanWindow, so_far_kwh: tuple[float, ...]
) -> TariffPrices:
    """Return what ``tariff`` makes energy cost at ``spec`` after ``so_far_kwh`` [period]."""
    so_far = MonthEnergy(_month(spec, window.start), so_far_kwh)
    rates = energy_rates(tariff, hours_of(spec, window), so_far)
    return TariffPrices(
        import_per_mwh=1000.0 * np.array(rates.import_per_kwh),
        export_per_mwh=1000.0 * np.array(rates.export_per_kwh),
        marks=(
            *_tier_marks(spec, tariff, rates, so_far),
            *_date_marks(spec, tariff, window),
            *_left_out_marks(spec, tariff),
        ),
    )


def energy_before(
    spec: SiteSpec, tariff: TariffSpec, window: PlanWindow, known: EnergySoFar
) -> tuple[float, ...]:
    """Return the energy bought in the month ``window`` begins in, by period of the tariff [kWh].

    What is ``known`` of the site, else what its spec states of that month, else nothing.
    """
    if spec.name in known:
        return known[spec.name]
    month = _month(spec, window.start)
    stated = stated_energy(spec, tariff, month)
    return (stated or MonthEnergy.nothing(tariff, month)).by_period_kwh


def stated_energy(spec: SiteSpec, tariff: TariffSpec, month: str) -> MonthEnergy | None:
    """Return what the spec itself says was bought in ``month``; ``None``: it says nothing of it."""
    so_far = tariff.so_far
    if so_far is None or not so_far.energy_kwh or _month(spec, so_far.at) != month:
        return None
    return MonthEnergy(month, so_far.energy_kwh)


def _month(spec: SiteSpec, instant: datetime) -> str:
    return local_hour(instant, ZoneInfo(spec.time_zone)).month


def _tier_marks(
    spec: SiteSpec, tariff: TariffSpec, rates: EnergyRates, so_far: MonthEnergy
) -> Iterator[str]:
    for (month, period), index in sorted(rates.tiers.items()):
        tiers = tariff.urdb.energyratestructure[period]
        ends = tier_ends_kwh(tiers, month)
        bought = so_far.counted_kwh(tariff, period) if month == so_far.month else 0.0
        until = f" and the tier ends at {ends[index]:,.0f} kWh" if index < len(ends) else ""
        yield (
            f"{spec.name} tariff: energy of {month} in period {period} is planned at tier"
            f" {index + 1} of {len(tiers)}: {bought:,.0f} kWh are bought so far{until}"
        )


def _date_marks(spec: SiteSpec, tariff: TariffSpec, window: PlanWindow) -> Iterator[str]:
    title, start, end = tariff.urdb.title, tariff.urdb.startdate, tariff.urdb.enddate
    if start is not None and window.start.timestamp() < start:
        begins = f"{datetime.fromtimestamp(start, UTC):%Y-%m-%d}"
        yield f"{spec.name} tariff: {title} begins on {begins}; it is used before that"
    if end is not None and window.end.timestamp() > end:
        ends = f"{datetime.fromtimestamp(end, UTC):%Y-%m-%d}"
        yield f"{spec.name} tariff: {title} ended on {ends}; it is used after that"


def _left_out_marks(spec: SiteSpec, tariff: TariffSpec) -> Iterator[str]:
    urdb = tariff.urdb
    if urdb.not_used:
        yield f"{spec.name} tariff: not reckoned with: {', '.join(urdb.not_used)}"
    if urdb.mincharge > 0.0:
        yield (
            f"{spec.name} tariff: a bill is at least {urdb.mincharge:g} {spec.currency}"
            f" per {urdb.minchargeunits.value[2:]}; the plan saves below that all the same"
        )
    may_export = spec.grid.export_limit_kw > 0.0
    if may_export and (urdb.usenetmetering or urdb.dgrules in _NOT_BY_THE_INTERVAL):
        rule = urdb.dgrules or "usenetmetering"
        yield (
            f"{spec.name} tariff: {rule} is not reckoned with: exports earn what the tariff's"
            " sell rate says, interval by interval"
        )


_NOT_BY_THE_INTERVAL = ("Net Metering", "Buy All Sell All")
