"""What a month would have come to by a named policy: the same jobs, GPUs, prices and weather.

Every slot is as its entry says. A job comes when it was released and submitted, does the work it
really did, and uses the energy that the ledger has for it, whatever whole slots it is placed in: so
that neither side is flattered by how well its power was stated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.types import Window
from optimizer import Plan, Problem, Site, SiteFlows
from scheduler.db.models import Job, JobRun, LedgerEntry
from scheduler.ledger.checks import paid_eur, used_kwh
from scheduler.services import fleet as fleets
from scheduler.services.assemble import FILL_HISTORY, JobToPlan, assemble
from scheduler.services.errors import Conflict, Invalid, Refusal
from scheduler.services.job_runs import runs_in
from scheduler.services.ledger_report import By, Which, entries, sums_by
from scheduler.services.ledger_store import columns_of
from scheduler.services.ledger_work import hours_in, point_of
from scheduler.services.signal_store import Wanted, known_values
from scheduler.services.window import PlanWindow, slot_start_not_before
from scheduler.specs import FleetSpec, JobSpec
from scheduler.specs.commitments import CommitmentsSpec

MOST_JOBS = 20_000


@dataclass(frozen=True, slots=True)
class Came:
    """What a month came to: without charges on peaks."""

    used_kwh: float
    bought_kwh: float
    eur: float
    carbon_kg: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A month to be done over: the problem it was, and what it really came to.

    ``left_out`` are jobs that ran and are not in the problem.
    """

    window: PlanWindow
    problem: Problem
    real: Came
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """A month as it was, and by a policy; ``unserved`` jobs found no place in it."""

    policy: str
    start: datetime
    end: datetime
    n_jobs: int
    real: Came
    by_policy: Came
    unserved: tuple[str, ...]


def read_month(session: Session, window: Window, now: datetime) -> Asked:
    """Read the part of ``window`` that all sites have entries of.

    Raises
    ------
    Conflict
        A site has none, or gaps among them, or slots of another length than the fleet plans in.
    Invalid
        More than ``MOST_JOBS`` ran.
    """
    fleet = _plain(fleets.required_spec(session))
    by_site = {site.name: entries(session, window, site.name) for site in fleet.sites}
    span = _common(fleet, by_site)
    jobs = _jobs(session, fleet, span)
    signals = known_values(session, Wanted(span.start - FILL_HISTORY, span.end), now)
    stated = signals.assign(known_at=pd.Series(pd.NaT, signals.index, "datetime64[us, UTC]"))
    made = assemble(fleet, jobs, stated, (), span, now=span.start)
    there = {
        name: [one for one in found if span.start <= one.start_at < span.end]
        for name, found in by_site.items()
    }
    sites = tuple(_as_it_was(site, there[site.name], span) for site in made.problem.sites)
    placed = {job.name for job in made.problem.jobs}
    left_out = tuple(job.spec.name for job in jobs if job.spec.name not in placed)
    values = [columns_of(one) for found in there.values() for one in found]
    real = Came(
        used_kwh=sum(map(used_kwh, values)),
        bought_kwh=sum(one["bought_kwh"] for one in values),
        eur=sum(map(paid_eur, values)),
        carbon_kg=sum(one["carbon_kg"] for one in values),
    )
    return Asked(span, replace(made.problem, sites=sites), real, left_out)


def compared(asked: Asked, policy: str, plan: Plan) -> Counterfactual:
    """Set what a policy's plan of a month comes to beside what that really came to."""
    terms, hours = plan.terms, asked.window.slot_hours
    pairs = list(zip(asked.problem.sites, plan.flows, strict=True))
    return Counterfactual(
        policy=policy,
        start=asked.window.start,
        end=asked.window.end,
        n_jobs=len(asked.problem.jobs) + len(asked.left_out),
        real=asked.real,
        by_policy=Came(
            used_kwh=sum(_used_kwh(site, flows, hours) for site, flows in pairs),
            bought_kwh=sum(sum(flows.import_kw) for flows in plan.flows) * hours,
            eur=terms.energy_bought_eur
            + terms.network_eur
            + terms.generation_eur
            + terms.storage_wear_eur
            - terms.energy_sold_eur,
            carbon_kg=terms.carbon_kg,
        ),
        unserved=(*asked.left_out, *(one.job for one in plan.unserved)),
    )


def _used_kwh(site: Site, flows: SiteFlows, hours: float) -> float:
    it_kwh = sum(pue * kw for pue, kw in zip(site.pue, flows.it_load_kw, strict=True))
    return (it_kwh + sum(site.base_load_kw)) * hours


def _plain(fleet: FleetSpec) -> FleetSpec:
    """Return the fleet without what changes stated hours or calls for power."""
    planning = fleet.planning.model_copy(update={"run_times": None, "uncertainty": None})
    return fleet.model_copy(update={"planning": planning, "commitments": CommitmentsSpec()})


def _common(fleet: FleetSpec, by_site: Mapping[str, Sequence[LedgerEntry]]) -> PlanWindow:
    """Return the slots that every site has an entry of."""
    minutes = fleet.planning.slot_minutes
    slot = timedelta(minutes=minutes)
    for name, found in by_site.items():
        if not found:
            raise Conflict(f"site {name}: nothing of this month is in the ledger")
        if {one.minutes for one in found} != {minutes}:
            raise Conflict(f"site {name}: slots of this month are not all {minutes} minutes long")
    first = max(found[0].start_at for found in by_site.values())
    last = min(found[-1].start_at for found in by_site.values())
    start = slot_start_not_before(first, minutes)
    if last < start:
        raise Conflict("no slot of this month is in the ledger of every site")
    span = PlanWindow(start, minutes, (last - start) // slot + 1)
    for name, found in by_site.items():
        there = sum(span.start <= one.start_at < span.end for one in found)
        if there != span.n_slots:
            raise Conflict(f"site {name}: {span.n_slots - there} slots of this month are missing")
    return span


def _as_it_was(site: Site, found: Sequence[LedgerEntry], window: PlanWindow) -> Site:
    """Return the site with prices, weather and load of its entries, slot by slot."""
    hours = window.slot_hours

    def generated_kw(one: LedgerEntry) -> float:
        by_generators = float(sum(one.expected.get("generators", {}).values()))
        return max(0.0, one.generated_kwh - by_generators) / hours

    produced = tuple(map(generated_kw, found))
    nothing = (0.0,) * len(found)
    plants = tuple(
        replace(plant, available_kw=nothing if number else produced)
        for number, plant in enumerate(site.renewables)
    )
    load = tuple(max(0.0, one.base_load_kwh + one.unexplained_kwh) / hours for one in found)
    grid = replace(
        site.grid,
        import_price_eur_per_mwh=tuple(one.price_eur_per_mwh for one in found),
        carbon_g_per_kwh=tuple(one.carbon_g_per_kwh for one in found),
    )
    return replace(
        site,
        grid=grid,
        pue=tuple(one.pue for one in found),
        base_load_kw=load,
        renewables=plants,
        peaks=(),
        coincident_peaks=(),
        sheddable=(),
    )


def _jobs(session: Session, fleet: FleetSpec, window: PlanWindow) -> list[JobToPlan]:
    span = Window(window.start, window.end)
    runs: dict[UUID, list[JobRun]] = {}
    for site in fleet.sites:
        for run in runs_in(session, site.name, span):
            runs.setdefault(run.job_id, []).append(run)
    if len(runs) > MOST_JOBS:
        raise Invalid(Refusal("ledger", "month", len(runs), f"one of at most {MOST_JOBS} jobs"))
    it_kwh = {name: sums.it_kwh for name, sums in sums_by(session, Which(span), By.JOB)}
    rows = session.scalars(select(Job).where(Job.id.in_(runs)).order_by(Job.submitted_at, Job.name))
    found = [_job(row, runs[row.id], it_kwh.get(row.name, 0.0), window) for row in rows]
    return [job for job in found if job is not None]


def _job(row: Job, runs: Sequence[JobRun], it_kwh: float, window: PlanWindow) -> JobToPlan | None:
    """Return what a job did in ``window`` as a job of its own; ``None``: nothing."""
    spec = JobSpec.model_validate(row.spec)
    work = modelled_kwh = 0.0
    for run in runs:
        point, hours = point_of(spec, run), hours_in(run, Window(window.start, window.end))
        work, modelled_kwh = work + point.speed * hours, modelled_kwh + point.kw * hours
    if work <= 0.0:
        return None
    ratio = it_kwh / modelled_kwh if modelled_kwh > 0.0 else 1.0
    began = max(min(run.began_at for run in runs), window.start)
    ended = max(run.ended_at or window.end for run in runs)
    release = min(max(spec.release_at, row.submitted_at, window.start), began)
    deadline = min(max(spec.deadline_at, ended + window.slot), window.end)
    changed = {
        "work_hours": work,
        "release_at": release,
        "deadline_at": deadline,
        "due_at": None,
        "data": None,
        "after": (),
        "operating_points": tuple(
            point.model_copy(
                update={"kw": point.kw * ratio * _stretched(work, point.speed, window)}
            )
            for point in spec.operating_points
        ),
    }
    return JobToPlan(spec.model_copy(update=changed), work)


def _stretched(work: float, speed: float, window: PlanWindow) -> float:
    """Return the share of whole slots that work takes, so that its energy is that of the work."""
    hours = work / speed
    slots = max(1, math.ceil(hours / window.slot_hours - 1e-9))  # as ``optimizer.slots_to_do``
    return hours / (slots * window.slot_hours)
