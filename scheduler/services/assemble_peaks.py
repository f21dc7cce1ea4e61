"""Charges on peaks become the peaks of a window's billing periods, as far as they have come.

A window across a month's end has two peaks of each monthly charge: what is imported in the new
month is held under a peak of its own, which begins at nothing.

Tiers that rise are peaks of their own, each for what its rate is above the one before, on what
exceeds its start. Tiers that fall are not convex: the rate of the tier that is reached stands for
all, with a mark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from optimizer import PeakDemand
from scheduler.services.window import PlanWindow
from scheduler.specs.fleet import SiteSpec
from scheduler.specs.tariff import TariffSpec
from scheduler.tariffs.demand import (
    FLAT,
    OWN_PEAK,
    BillingPeak,
    Tiers,
    billing_peaks,
    demand_charges,
    tariff_charges,
)
from scheduler.tariffs.local_time import LocalHours, local_hour, local_hours
from scheduler.tariffs.ratchet import Ratchet, ratchet_in

Peak = tuple[str, str]
"""Site, and the name of a charge with its billing period."""


def assemble_peaks(
    spec: SiteSpec, rate: float, window: PlanWindow, so_far_kw: Mapping[Peak, float]
) -> tuple[tuple[PeakDemand, ...], list[str]]:
    """Return the peaks of ``spec`` in ``window``, charges at ``rate`` EUR per site currency.

    ``so_far_kw`` is what is known; where nothing is, what the spec states holds. Also says what
    the plan does not see: falling tiers, months a ratchet looks back at and nobody stated, and a
    meter that reckons in other intervals.
    """
    known = [
        _Known(peak, so_far_kw.get((spec.name, peak.name), stated_kw(spec, peak, window)))
        for peak in peaks_of(spec, window)
    ]
    demands: list[PeakDemand] = []
    marks = [] if spec.tariff is None else [*_window_mark(spec, spec.tariff, window)]
    for one in known:
        ratchet = _ratchet(spec.tariff, one.peak, known)
        if ratchet is not None and ratchet.unknown:
            marks.append(_ratchet_mark(spec, ratchet))
        floor_kw = 0.0 if ratchet is None else ratchet.floor_kw
        if _is_rising(one.peak.tiers):
            demands += _rising(one, rate, floor_kw)
        else:
            demand, mark = _at_reached_tier(spec, one, rate, floor_kw)
            demands.append(demand)
            marks.append(mark)
    return tuple(demands), marks


def peaks_of(spec: SiteSpec, window: PlanWindow) -> tuple[BillingPeak, ...]:
    """Return every peak that import in ``window`` counts for."""
    charges = demand_charges(spec)
    if not charges:
        return ()
    hours = hours_of(spec, window)
    return tuple(peak for charge in charges for peak in billing_peaks(charge, hours))


def hours_of(spec: SiteSpec, window: PlanWindow) -> tuple[LocalHours, ...]:
    """Return the local hours that each slot lies in."""
    return local_hours(window.start, window.slot_minutes, window.n_slots, spec.time_zone)


def stated_kw(spec: SiteSpec, peak: BillingPeak, window: PlanWindow) -> float:
    """Return the peak so far that the spec itself states [kW], 0 where it states none.

    That of the site's own charge is of the month ``window`` begins in; that of a tariff of the
    billing period that it was stated in.
    """
    zone = ZoneInfo(spec.time_zone)
    if peak.charge.name == OWN_PEAK:
        is_now = peak.period == peak.charge.period_of(local_hour(window.start, zone))
        return spec.peak.so_far_kw if spec.peak is not None and is_now else 0.0
    so_far = None if spec.tariff is None else spec.tariff.so_far
    if so_far is None or peak.period != peak.charge.period_of(local_hour(so_far.at, zone)):
        return 0.0
    return so_far.peaks_kw.get(peak.charge.name, 0.0)


@dataclass(frozen=True, slots=True)
class _Known:
    """A peak, and what it was before the window [kW]."""

    peak: BillingPeak
    so_far_kw: float


def _ratchet(tariff: TariffSpec | None, peak: BillingPeak, known: list[_Known]) -> Ratchet | None:
    """Return what the demand of ``peak`` is billed for at least, ``None`` where it has no ratchet.

    A month that is not over yet counts with its peak so far.
    """
    if tariff is None or not tariff.urdb.has_ratchet or peak.charge.name != FLAT:
        return None
    current = {one.peak.period: one.so_far_kw for one in known if one.peak.charge.name == FLAT}
    return ratchet_in(tariff, peak.period, current | dict(tariff.past_peaks_kw))


def _is_rising(tiers: Tiers) -> bool:
    prices = [tier.price for tier in tiers]
    return prices == sorted(prices)


def _rising(one: _Known, rate: float, floor_kw: float) -> Iterator[PeakDemand]:
    """Yield a peak for each tier, the first also where it costs nothing: it carries the name."""
    price, start_kw, name = 0.0, 0.0, one.peak.name
    for tier in one.peak.tiers:
        rise = tier.price - price
        if rise > 0.0 or start_kw == 0.0:
            yield _demand(one, name, rise * rate, max(floor_kw, start_kw))
        price, start_kw = tier.price, tier.max or start_kw
        name = f"{one.peak.name} above {start_kw:g} kW"


def _at_reached_tier(
    spec: SiteSpec, one: _Known, rate: float, floor_kw: float
) -> tuple[PeakDemand, str]:
    billed_kw, tiers = max(one.so_far_kw, floor_kw), one.peak.tiers
    reached = next((tier for tier in tiers[:-1] if billed_kw < (tier.max or 0.0)), tiers[-1])
    mark = (
        f"{spec.name} tariff: {one.peak.name} has tiers that fall; planned at {reached.price:g}"
        f" {spec.currency}/kW, that of {billed_kw:g} kW"
    )
    return _demand(one, one.peak.name, reached.price * rate, floor_kw), mark


def _demand(one: _Known, name: str, charge_eur_per_kw: float, floor_kw: float) -> PeakDemand:
    return PeakDemand(
        name=name,
        charge_eur_per_kw=charge_eur_per_kw,
        so_far_kw=one.so_far_kw,
        counts=tuple(float(counts) for counts in one.peak.counts),
        floor_kw=floor_kw,
    )


def _ratchet_mark(spec: SiteSpec, ratchet: Ratchet) -> str:
    first, last = ratchet.unknown[0], ratchet.unknown[-1]
    months = first if first == last else f"{len(ratchet.unknown)} months, {first} to {last}"
    return (
        f"{spec.name} tariff: the ratchet of {ratchet.month} is reckoned without {months}:"
        " past_peaks_kw does not state the peak"
    )


def _window_mark(spec: SiteSpec, tariff: TariffSpec, window: PlanWindow) -> Iterator[str]:
    """Say what slots of another length than the meter's make of a peak."""
    metered = tariff.urdb.demandwindow
    if metered is None or metered == window.slot_minutes or not tariff_charges(tariff):
        return
    meaning = (
        "what exceeds the mean within a slot is not seen"
        if metered < window.slot_minutes
        else "peaks are held for every slot, though its meter takes the mean of several"
    )
    yield (
        f"{spec.name} tariff: demand is metered over {metered} minutes and planned in slots of"
        f" {window.slot_minutes}: {meaning}"
    )
