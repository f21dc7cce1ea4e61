"""Charges on peaks become the peaks of a window's billing periods, as far as they have come.

A window across a month's end has two peaks of each monthly charge: what is imported in the new
month is held under a peak of its own, which begins at nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from optimizer import PeakDemand
from scheduler.services.window import PlanWindow
from scheduler.specs.fleet import SiteSpec
from scheduler.tariffs.demand import OWN_PEAK, BillingPeak, billing_peaks, demand_charges
from scheduler.tariffs.local_time import local_hour, local_hours

Peak = tuple[str, str]
"""Site, and the name of a charge with its billing period."""


def assemble_peaks(
    spec: SiteSpec, rate: float, window: PlanWindow, so_far_kw: Mapping[Peak, float]
) -> tuple[PeakDemand, ...]:
    """Return the peaks of ``spec`` in ``window``, charges at ``rate`` EUR per site currency.

    ``so_far_kw`` is what is known; where nothing is, what the spec states holds.
    """
    return tuple(
        PeakDemand(
            name=peak.name,
            charge_eur_per_kw=peak.charge.rate_per_kw(int(peak.period[5:7])) * rate,
            so_far_kw=so_far_kw.get((spec.name, peak.name), stated_kw(spec, peak, window)),
            counts=tuple(float(counts) for counts in peak.counts),
        )
        for peak in peaks_of(spec, window)
    )


def peaks_of(spec: SiteSpec, window: PlanWindow) -> tuple[BillingPeak, ...]:
    """Return every peak that import in ``window`` counts for."""
    charges = demand_charges(spec)
    if not charges:
        return ()
    hours = local_hours(window.start, window.slot_minutes, window.n_slots, spec.time_zone)
    return tuple(peak for charge in charges for peak in billing_peaks(charge, hours))


def stated_kw(spec: SiteSpec, peak: BillingPeak, window: PlanWindow) -> float:
    """Return the peak that the spec itself states [kW]: of the month ``window`` begins in."""
    begins_in = local_hour(window.start, ZoneInfo(spec.time_zone)).month
    if spec.peak is None or (peak.charge.name, peak.period) != (OWN_PEAK, begins_in):
        return 0.0
    return spec.peak.so_far_kw
