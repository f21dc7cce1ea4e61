"""What answers a call to import less: which batteries, engines and jobs, with how many kW.

Everything is measured against a plan of the same problem without the call: in every slot, what the
sources give or leave undone more adds up to what is imported less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.checks import Series
from optimizer.events import DemandEvent
from optimizer.pieces import links_of
from optimizer.plan import Placement, Plan
from optimizer.problem import Problem
from optimizer.room import added_it_kw

Floats = NDArray[np.float64]

LEAST_KW = 1e-6
"""Less is rounding of a solver."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one source does for it [slot] in kW of import; negative where it draws more.

    ``how`` is what a job does in the slots of the call: ``capped``, ``paused``, ``moved`` to
    another site, ``later``, ``earlier``, ``left out`` or ``changed``; empty of anything else.
    """

    source: str
    how: str
    kw: Series


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
        What it costs to deliver, payment, fee and penalties apart.
    """

    event: str
    is_declined: bool
    called_kw: Series
    planned_kw: Series
    without_kw: Series
    delivered: tuple[Delivered, ...]
    gain_eur: float
    effort_eur: float


def without_event(problem: Problem, name: str) -> Problem:
    """Return ``problem`` as if the call had not come."""
    events = tuple(event for event in problem.events if event.name != name)
    return replace(problem, events=events)


def event_report(problem: Problem, plan: Plan, without: Plan, name: str) -> EventReport:
    """Compare ``plan`` with ``without``, a plan of ``without_event(problem, name)``.

    Raises
    ------
    KeyError
        The problem has no event called ``name``.
    """
    events = {event.name: event for event in problem.events}
    event = events[name]
    is_declined = any(name in flow.declined for flow in plan.flows)
    sources = [source for source in _sources(problem, plan, without, event) if _does(source)]
    inside = slice(event.start_slot, event.end_slot)
    sources.sort(key=lambda source: -sum(source.kw[inside]))
    missed_eur = sum(
        violation.penalty_eur for violation in plan.violations if violation.owner == f"event {name}"
    )
    terms_eur = missed_eur - event.pay_eur
    if is_declined:
        terms_eur = event.decline_eur or 0.0
    gain_eur = without.objective - plan.objective
    return EventReport(
        event=name,
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
        if site.name not in event.sites:
            continue
        for k, unit in enumerate(site.storage):
            given = np.subtract(now.discharge_kw[k], then.discharge_kw[k])
            taken = np.subtract(now.charge_kw[k], then.charge_kw[k])
            yield Delivered(f"storage {site.name}/{unit.name}", "", _series(given - taken))
        for k, generator in enumerate(site.generators):
            more = np.subtract(now.generator_kw[k], then.generator_kw[k])
            yield Delivered(f"generator {site.name}/{generator.name}", "", _series(more))
        for k, plant in enumerate(site.renewables):
            more = np.subtract(now.renewable_kw[k], then.renewable_kw[k])
            yield Delivered(f"renewable {site.name}/{plant.name}", "", _series(more))
        kept = np.subtract(then.export_kw, now.export_kw)
        yield Delivered(f"export of {site.name}", "", _series(kept))
        short = np.subtract(now.shortfall_kw, then.shortfall_kw)
        yield Delivered(f"shortfall of {site.name}", "", _series(short))
    yield from _jobs(problem, plan, without, event)


def _jobs(problem: Problem, plan: Plan, without: Plan, event: DemandEvent) -> Iterator[Delivered]:
    links = links_of(problem)
    now, then = plan.placements_by_job(), without.placements_by_job()
    pue = {site.name: np.asarray(site.pue) for site in problem.sites}

    def drawn_kw(placement: Placement | None, job: int) -> Floats:
        if placement is None or placement.site not in event.sites:
            return np.zeros(problem.horizon.n_slots)
        added = added_it_kw(problem, problem.jobs[job], placement, links)
        drawn: Floats = pue[placement.site] * added
        return drawn

    for row, job in enumerate(problem.jobs):
        here, there = now.get(job.name), then.get(job.name)
        if here == there:
            continue
        kw = drawn_kw(there, row) - drawn_kw(here, row)
        yield Delivered(f"job {job.name}", _how(here, there, event), _series(kw))


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
