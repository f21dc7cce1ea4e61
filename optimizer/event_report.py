"""What answers a call to import less: which batteries, engines and jobs, how many kW, at what cost.

Everything is measured against a plan of the same problem without the call: in every slot, what the
sources give or leave undone more adds up to what is imported less. A call is an event, or a limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.checks import Series
from optimizer.events import DemandEvent
from optimizer.jobs import Job
from optimizer.pieces import links_of
from optimizer.plan import Placement, Plan, SiteFlows
from optimizer.problem import Problem, Weights
from optimizer.room import added_it_kw
from optimizer.settlement import generator_starts, is_churned, left_out_eur, own_costs
from optimizer.sites import Site

Floats = NDArray[np.float64]

LEAST_KW = 1e-6
"""Less is rounding of a solver."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one source does for it [slot] in kW of import; negative where it draws more.

    ``how`` is what a job does in the slots of the call: ``capped``, ``paused``, ``moved`` to
    another site, ``later``, ``earlier``, ``left out`` or ``changed``; empty of anything else.
    ``cost_eur`` is what it costs more over the whole horizon, by the weights of the operator: wear,
    fuel, starts, restarts, transfers, lateness, export forgone, and the import it moves at the
    prices and network fees of its slots.
    """

    source: str
    how: str
    kw: Series
    cost_eur: float


@dataclass(frozen=True, slots=True)
class EventReport:
    """A call, what was planned for it, and what it costs.

    Attributes
    ----------
    called_kw
        The levels of the slots of the call and of the rebound [slot].
    planned_kw, without_kw
        Import of the sites asked with the call and without it [slot of the horizon].
    delivered
        Sources that do anything, largest energy in the slots of the call first.
    gain_eur
        By how much the plan is better with the call than without it.
    effort_eur
        What it costs to deliver, payment, fee and penalties apart, by the weights of the operator.
        What of it is not with the sources are carbon, peak charges, what batteries hold at the end,
        other commitments, and other sites.
    start_slot
        Slot of the first of ``called_kw``.
    """

    event: str
    sites: tuple[str, ...]
    start_slot: int
    end_slot: int
    is_declined: bool
    called_kw: Series
    planned_kw: Series
    without_kw: Series
    delivered: tuple[Delivered, ...]
    gain_eur: float
    effort_eur: float


def without_event(problem: Problem, name: str) -> Problem:
    """Return ``problem`` as if the call had not come."""
    return replace(
        problem,
        events=tuple(event for event in problem.events if event.name != name),
        capacity_limits=tuple(limit for limit in problem.capacity_limits if limit.name != name),
    )


def calls_of(problem: Problem) -> Mapping[str, DemandEvent]:
    """Return the calls that ``problem`` holds by name, a limit as an event that pays nothing."""
    limits = {
        limit.name: DemandEvent(
            name=limit.name,
            sites=(limit.site,),
            start_slot=limit.start_slot,
            level_kw=(limit.limit_kw,) * (limit.end_slot - limit.start_slot),
            missed_eur_per_kwh=limit.breach_eur_per_kwh,
        )
        for limit in problem.capacity_limits
    }
    return limits | {event.name: event for event in problem.events}


def event_report(problem: Problem, plan: Plan, without: Plan, name: str) -> EventReport:
    """Compare ``plan`` with ``without``, a plan of ``without_event(problem, name)``.

    Raises
    ------
    KeyError
        The problem has no call of this name.
    """
    event = calls_of(problem)[name]
    is_declined = any(name in flow.declined for flow in plan.flows)
    sources = [source for source in _sources(problem, plan, without, event) if _does(source)]
    inside = slice(event.start_slot, event.end_slot)
    sources.sort(key=lambda source: -sum(source.kw[inside]))
    owners = (f"event {name}", f"capacity limit {name}")
    missed_eur = sum(
        violation.penalty_eur for violation in plan.violations if violation.owner in owners
    )
    terms_eur = missed_eur - event.pay_eur
    if is_declined:
        terms_eur = event.decline_eur or 0.0
    gain_eur = without.objective - plan.objective
    return EventReport(
        event=name,
        sites=event.sites,
        start_slot=event.start_slot,
        end_slot=event.end_slot,
        is_declined=is_declined,
        called_kw=(*event.level_kw, *event.rebound_kw),
        planned_kw=_series(_imported(problem, plan, event)),
        without_kw=_series(_imported(problem, without, event)),
        delivered=tuple(sources),
        gain_eur=gain_eur,
        effort_eur=-gain_eur - terms_eur,
    )


def _does(source: Delivered) -> bool:
    return max(map(abs, source.kw), default=0.0) > LEAST_KW


def _series(values: Floats) -> Series:
    return tuple(values.tolist())


def _imported(problem: Problem, plan: Plan, event: DemandEvent) -> Floats:
    total = np.zeros(problem.horizon.n_slots)
    for flow in plan.flows:
        if flow.site in event.sites:
            total += np.asarray(flow.import_kw)
    return total


def _sources(
    problem: Problem, plan: Plan, without: Plan, event: DemandEvent
) -> Iterator[Delivered]:
    """Yield the terms of the power balance of each site asked, and its jobs one by one."""
    for site, now, then in zip(problem.sites, plan.flows, without.flows, strict=True):
        if site.name in event.sites:
            yield from _of_site(problem, site, now, then)
    yield from _jobs(problem, plan, without, event)


def _of_site(problem: Problem, site: Site, now: SiteFlows, then: SiteFlows) -> Iterator[Delivered]:
    hours, weights = problem.horizon.slot_hours, problem.weights
    price = _import_eur_per_kwh(site, weights)

    def source(name: str, kw: Floats, own_eur: float = 0.0) -> Delivered:
        return Delivered(name, "", _series(kw), own_eur - float(kw @ price) * hours)

    for k, unit in enumerate(site.storage):
        given = np.subtract(now.discharge_kw[k], then.discharge_kw[k])
        taken = np.subtract(now.charge_kw[k], then.charge_kw[k])
        wear_eur = unit.wear_eur_per_kwh * float(np.sum(given + taken)) * hours
        worn_eur = weights.storage_wear * wear_eur
        yield source(f"storage {site.name}/{unit.name}", given - taken, worn_eur)
    for k, generator in enumerate(site.generators):
        output, before = np.asarray(now.generator_kw[k]), np.asarray(then.generator_kw[k])
        starts = generator_starts(generator, output) - generator_starts(generator, before)
        fuel_eur = generator.fuel_eur_per_kwh * float(np.sum(output - before)) * hours
        own_eur = weights.generation * (fuel_eur + generator.start_eur * starts)
        yield source(f"generator {site.name}/{generator.name}", output - before, own_eur)
    for k, plant in enumerate(site.renewables):
        more = np.subtract(now.renewable_kw[k], then.renewable_kw[k])
        yield source(f"renewable {site.name}/{plant.name}", more)
    kept = np.subtract(then.export_kw, now.export_kw)
    forgone_eur = float(kept @ np.asarray(site.grid.export_price_eur_per_mwh)) / 1000.0 * hours
    yield source(f"export of {site.name}", kept, weights.energy * forgone_eur)
    yield source(f"shortfall of {site.name}", np.subtract(now.shortfall_kw, then.shortfall_kw))


def _import_eur_per_kwh(site: Site, weights: Weights) -> Floats:
    price: Floats = weights.energy * np.asarray(site.grid.import_price_eur_per_mwh)
    fee: Floats = weights.network * np.asarray(site.grid.network_fee_eur_per_mwh)
    return (price + fee) / 1000.0


def _jobs(problem: Problem, plan: Plan, without: Plan, event: DemandEvent) -> Iterator[Delivered]:
    links, weights = links_of(problem), problem.weights
    now, then = plan.placements_by_job(), without.placements_by_job()
    sites = {site.name: site for site in problem.sites}
    nothing = np.zeros(problem.horizon.n_slots)

    def told(job: Job, placement: Placement | None) -> tuple[Floats, float]:
        """Import of the sites asked [slot], and all that the job costs [EUR]."""
        if placement is None:
            return nothing, left_out_eur(job, weights)
        site, hours = sites[placement.site], problem.horizon.slot_hours
        drawn = np.asarray(site.pue) * added_it_kw(problem, job, placement, links)
        cost_eur = own_costs(job, placement, links, hours).weighted_eur(weights)
        cost_eur += weights.churn_eur_per_job * is_churned(job, placement)
        cost_eur += float(drawn @ _import_eur_per_kwh(site, weights)) * hours
        return (drawn if site.name in event.sites else nothing), cost_eur

    for job in problem.jobs:
        here, there = now.get(job.name), then.get(job.name)
        if here == there:
            continue
        (kw, cost_eur), (before_kw, before_eur) = told(job, here), told(job, there)
        saved = _series(before_kw - kw)
        yield Delivered(f"job {job.name}", _how(here, there, event), saved, cost_eur - before_eur)


def _how(now: Placement | None, then: Placement | None, event: DemandEvent) -> str:
    """Say what a job does in the slots of ``event`` that it would not do without it."""
    if now is None:
        return "left out"
    if then is None:
        return "changed"
    if now.site != then.site:
        return "moved"
    called = range(event.start_slot, event.end_slot)
    here = {slot: point for slot, point in now.slots() if slot in called}
    there = {slot: point for slot, point in then.slots() if slot in called}
    if here.keys() >= there.keys():
        return "capped" if there else "changed"
    gone = there.keys() - here.keys()
    if now.start_slot > min(gone):
        return "later"
    return "earlier" if now.end_slot <= min(gone) else "paused"
