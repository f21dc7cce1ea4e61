"""Charges on the highest import of a billing period: which hours count, and for which period.

A *charge* is written once; each billing period it is on (a calendar month, or a day) has a peak of
its own, known by a name such as ``"flat 2026-03"``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scheduler.specs.fleet import PeakSpec, SiteSpec
from scheduler.tariffs.local_time import LocalHour, LocalHours

OWN_PEAK = "peak"
"""Name of the charge that a site states itself, beside any tariff."""


@dataclass(frozen=True, slots=True)
class DemandCharge:
    """A price of peak import in site currency, by the local clock.

    Attributes
    ----------
    rate_per_kw
        In a calendar month, 1 to 12.
    counts_in
        Whether import in a local hour counts.
    """

    name: str
    rate_per_kw: Callable[[int], float]
    counts_in: Callable[[LocalHour], bool]


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


def demand_charges(spec: SiteSpec) -> tuple[DemandCharge, ...]:
    """Return every charge on peaks that a site is under."""
    return () if spec.peak is None else (_own(spec.peak),)


def billing_peaks(charge: DemandCharge, hours: Sequence[LocalHours]) -> tuple[BillingPeak, ...]:
    """Return a peak for every billing period that ``hours`` [interval] lie in, in order of time.

    An interval counts for each period that any part of it lies in. A period has a peak even where
    no interval counts: what it was before is to be kept.
    """
    periods = sorted({hour.month for one in hours for hour in one})
    counting = [{hour.month for hour in one if charge.counts_in(hour)} for one in hours]
    return tuple(
        BillingPeak(charge, period, tuple(period in some for some in counting))
        for period in periods
    )


def _own(peak: PeakSpec) -> DemandCharge:
    first, last = peak.local_hours

    def counts(hour: LocalHour) -> bool:
        if first <= last:
            return first <= hour.hour < last
        return hour.hour >= first or hour.hour < last

    return DemandCharge(OWN_PEAK, lambda _: peak.charge_per_kw, counts)
