"""What a meter will have read at the start of a new window, as the plan in force lets expect it.

Peaks and energy of a billing period lie for the most part before any window. They go from plan to
plan: what the one in force began with, and what it imported in slots that are over by then.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from scheduler.services.assemble_peaks import Peak, hours_of, peaks_of, stated_kw
from scheduler.services.assemble_tariff import stated_energy
from scheduler.services.plan_document import PlanDocument
from scheduler.services.window import PlanWindow
from scheduler.specs import FleetSpec
from scheduler.specs.fleet import SiteSpec
from scheduler.specs.tariff import TariffSpec
from scheduler.tariffs.demand import BillingPeak
from scheduler.tariffs.energy import MonthEnergy, energy_period
from scheduler.tariffs.local_time import local_hour


def peak_so_far(
    fleet: FleetSpec, in_force: PlanDocument | None, window: PlanWindow
) -> dict[Peak, float]:
    """Highest import of each billing period before ``window``, by site and peak [kW].

    Taken from the plan in force: what it began with, and what it imported in slots that are over
    and count. Where somebody entered another peak since that plan was made, it is at least that.
    Without a plan the spec holds.
    """
    if in_force is None:
        return {}
    planned = {flow.site for flow in in_force.plan.flows}
    return {
        (spec.name, peak.name): _peak_kw(spec, peak, in_force, window)
        for spec in fleet.sites
        if spec.name in planned
        for peak in peaks_of(spec, window)
    }


def _peak_kw(
    spec: SiteSpec, peak: BillingPeak, in_force: PlanDocument, window: PlanWindow
) -> float:
    began_with = [
        old.so_far_kw for old in in_force.problem.site(spec.name).peaks if old.name == peak.name
    ]
    before = elapsed(in_force.window, window.start)
    imports = next(flow.import_kw for flow in in_force.plan.flows if flow.site == spec.name)
    imported = [
        import_kw
        for was in (() if before is None else peaks_of(spec, before))
        if was.name == peak.name
        for import_kw, counts in zip(imports, was.counts, strict=False)
        if counts
    ]
    return max([*began_with, *imported, _newly_entered_kw(spec, peak, in_force.fleet, window)])


def elapsed(planned: PlanWindow, instant: datetime) -> PlanWindow | None:
    """Return the slots of ``planned`` that are over by ``instant``; ``None`` where none is."""
    n_slots = min(planned.slot_of(instant), planned.n_slots)
    return None if n_slots < 1 else replace(planned, n_slots=n_slots)


def _newly_entered_kw(
    spec: SiteSpec, peak: BillingPeak, before: FleetSpec, window: PlanWindow
) -> float:
    """Peak the spec states now where it stated another one, or none, before [kW]; else 0."""
    stated = stated_kw(spec, peak, window)
    was = [stated_kw(site, peak, window) for site in before.sites if site.name == spec.name]
    return 0.0 if was == [stated] else stated


def energy_so_far(
    fleet: FleetSpec, in_force: PlanDocument | None, window: PlanWindow
) -> dict[str, tuple[float, ...]]:
    """Energy bought in the month ``window`` begins in, by site on a tariff and period [kWh].

    Taken from the plan in force: what it began with, and what it imported in slots that are over.
    Where somebody has stated another reading since that plan was made, it is counted from there.
    Without a plan the spec holds.
    """
    if in_force is None:
        return {}
    planned = {flow.site for flow in in_force.plan.flows}
    return {
        spec.name: _energy(spec, spec.tariff, in_force, window).by_period_kwh
        for spec in fleet.sites
        if spec.tariff is not None and spec.name in planned
    }


def _energy(
    spec: SiteSpec, tariff: TariffSpec, in_force: PlanDocument, window: PlanWindow
) -> MonthEnergy:
    zone = ZoneInfo(spec.time_zone)
    month = local_hour(window.start, zone).month
    energy, counted_from = _last_known(spec, tariff, in_force, month)
    before = elapsed(in_force.window, window.start)
    if before is None:
        return energy
    imports = next(flow.import_kw for flow in in_force.plan.flows if flow.site == spec.name)
    period_of = energy_period(tariff)
    for slot, hours in enumerate(hours_of(spec, before)):
        if counted_from is not None and before.instant(slot) < counted_from:
            continue
        for hour, share in hours.items():
            if hour.month == month:
                kwh = imports[slot] * before.slot_hours * share
                energy = energy.plus(period_of(hour), kwh)
    return energy


def _last_known(
    spec: SiteSpec, tariff: TariffSpec, in_force: PlanDocument, month: str
) -> tuple[MonthEnergy, datetime | None]:
    """Return what is known of ``month``, and from when on imports are to be added to it."""
    was = in_force.energy_so_far_kwh.get(spec.name, ())
    before = next((site.tariff for site in in_force.fleet.sites if site.name == spec.name), None)
    stated = stated_energy(spec, tariff, month)
    is_restated = before is None or before.so_far != tariff.so_far
    if stated is not None and tariff.so_far is not None and is_restated:
        return stated, tariff.so_far.at
    begun_in = local_hour(in_force.window.start, ZoneInfo(spec.time_zone)).month
    if begun_in == month and len(was) == len(tariff.urdb.energyratestructure):
        return MonthEnergy(month, was), None
    return MonthEnergy.nothing(tariff, month), None
