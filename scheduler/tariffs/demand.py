"""Charges on the highest import of a billing period: which hours count, and for which period.

A *charge* is written once; each billing period it is on (a calendar month, or a day) has a peak of
its own, known by a name such as ``"flat 2026-03"``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from scheduler.specs.fleet import PeakSpec, SiteSpec
from scheduler.specs.tariff import TariffSpec
from scheduler.specs.urdb_parts import DemandTier, DemandUnit
from scheduler.tariffs.local_time import LocalHour, LocalHours
from scheduler.tariffs.periods import by_schedule, month_number

OWN_PEAK = "peak"
"""Name of the charge that a site states itself, beside any tariff."""
FLAT = "flat"
"""Name of the charge of a tariff on the highest import at any hour, which a ratchet is on."""

Tiers = tuple[DemandTier, ...]


@dataclass(frozen=True, slots=True)
class DemandCharge:
    """A price of peak import in site currency, by the local clock.

    Attributes
    ----------
    tiers_in
        Rates in a calendar month, 1 to 12.
    counts_in
        Whether import in a local hour counts.
    is_daily
        Every day is a billing period, not every month.
    """

    name: str
    tiers_in: Callable[[int], Tiers]
    counts_in: Callable[[LocalHour], bool]
    is_daily: bool = False

    def period_of(self, hour: LocalHour) -> str:
        """Return the billing period of a local hour: its month, or its day."""
        return hour.day.isoformat() if self.is_daily else hour.month


@dataclass(frozen=True, slots=True)
class BillingPeak:
    """One charge in one billing period, and where import counts for it [interval]."""

    charge: DemandCharge
    period: str
    counts: tuple[bool, ...]

    @property
    def name(self) -> str:
        """Names the charge and the period."""
        return f"{self.charge.name} {self.period}"

    @property
    def tiers(self) -> Tiers:
        """Rates in its month."""
        return self.charge.tiers_in(month_number(self.period))


def demand_charges(spec: SiteSpec) -> tuple[DemandCharge, ...]:
    """Return every charge on peaks that a site is under: its own, and those of its tariff."""
    own = () if spec.peak is None else (_own(spec.peak),)
    return own if spec.tariff is None else (*own, *tariff_charges(spec.tariff))


def tariff_charges(spec: TariffSpec) -> tuple[DemandCharge, ...]:
    """Return the charges of a tariff that cost anything in some month."""
    return tuple(charge for charge in (*_flat(spec), *_by_hours(spec)) if _costs(charge))


def billing_peaks(charge: DemandCharge, hours: Sequence[LocalHours]) -> tuple[BillingPeak, ...]:
    """Return a peak for every billing period that ``hours`` [interval] lie in, in order of time.

    An interval counts for each period that any part of it lies in. A period has a peak even where
    no interval counts: what it was before is to be kept.
    """
    periods = sorted({charge.period_of(hour) for one in hours for hour in one})
    counting = [{charge.period_of(hour) for hour in one if charge.counts_in(hour)} for one in hours]
    return tuple(
        BillingPeak(charge, period, tuple(period in some for some in counting))
        for period in periods
    )


def _own(peak: PeakSpec) -> DemandCharge:
    first, last = peak.local_hours
    tiers = (DemandTier(rate=peak.charge_per_kw),)

    def counts(hour: LocalHour) -> bool:
        if first <= last:
            return first <= hour.hour < last
        return hour.hour >= first or hour.hour < last

    return DemandCharge(OWN_PEAK, lambda _: tiers, counts)


def _flat(spec: TariffSpec) -> Iterator[DemandCharge]:
    structure, months = spec.urdb.flatdemandstructure, spec.urdb.flatdemandmonths
    if structure and months is not None:
        is_daily = spec.urdb.flatdemandunit is DemandUnit.KW_DAILY
        yield DemandCharge(FLAT, lambda month: structure[months[month - 1]], _always, is_daily)


def _by_hours(spec: TariffSpec) -> Iterator[DemandCharge]:
    urdb = spec.urdb
    weekdays, weekends = urdb.demandweekdayschedule, urdb.demandweekendschedule
    if weekdays is None or weekends is None:
        return
    period_of = by_schedule(spec, weekdays, weekends)
    is_daily = urdb.demandrateunit is DemandUnit.KW_DAILY
    for index, tiers in enumerate(urdb.demandratestructure):
        yield DemandCharge(f"tou-{index}", _same(tiers), _in_period(period_of, index), is_daily)


def _always(_: LocalHour) -> bool:
    return True


def _same(tiers: Tiers) -> Callable[[int], Tiers]:
    return lambda _: tiers


def _in_period(period_of: Callable[[LocalHour], int], index: int) -> Callable[[LocalHour], bool]:
    return lambda hour: period_of(hour) == index


def _costs(charge: DemandCharge) -> bool:
    return any(tier.price > 0.0 for month in range(1, 13) for tier in charge.tiers_in(month))
