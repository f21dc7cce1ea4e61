"""The schedule: what the plan in force means for every job, and for every site right now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from optimizer import Placement, SiteFlows
from scheduler.db.models import Job, JobStatus
from scheduler.services import plans
from scheduler.services.dispatch_wants import transfer_slots
from scheduler.services.plan_document import PlanDocument
from scheduler.services.window import PlanWindow


@dataclass(frozen=True, slots=True)
class ScheduledRun:
    """The job runs at ``point`` in [start_at, end_at)."""

    point: str
    start_at: datetime
    end_at: datetime


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """Where and when one job runs; without runs, why it does not.

    ``data_from_at``: when moving its data there begins; ``None``: there is none to move.
    """

    job: str
    status: JobStatus | None  # None: no such job is on record
    site: str | None
    runs: tuple[ScheduledRun, ...]
    reason: str
    data_from_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SiteNow:
    """What a site is to do in the present slot [kW]; battery power is positive while charging."""

    site: str
    it_load_kw: float
    import_kw: float
    export_kw: float
    renewable_kw: float
    generator_kw: float
    shortfall_kw: float
    battery_kw: dict[str, float]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The plan in force, by job, and by site for the slot ``now`` lies in.

    ``sites`` is empty where ``now`` lies outside the plan's window.
    """

    plan_id: UUID
    window_start: datetime
    window_end: datetime
    at: datetime
    jobs: tuple[ScheduledJob, ...]
    sites: tuple[SiteNow, ...]


def schedule_in_force(session: Session, now: datetime, site: str | None = None) -> Schedule:
    """Return the schedule of all sites or of one; ``NotFound`` where no plan is in force."""
    plan = plans.in_force(session)
    document = plans.read_document(session, plan.id)
    named = select(Job.name, Job.status).where(
        Job.name.in_([job.name for job in document.problem.jobs])
    )
    statuses = dict(session.execute(named).all())
    jobs = [job for job in _jobs(document, statuses) if site is None or job.site == site]
    sites = [now_at for now_at in _sites(document, now) if site is None or now_at.site == site]
    return Schedule(
        plan_id=plan.id,
        window_start=document.window.start,
        window_end=document.window.end,
        at=now,
        jobs=tuple(sorted(jobs, key=lambda job: (_start(job), job.job))),
        sites=tuple(sites),
    )


def placement_runs(placement: Placement, window: PlanWindow) -> tuple[ScheduledRun, ...]:
    """Return the runs of a placement, as instants."""
    return tuple(
        ScheduledRun(run.point, window.instant(run.start_slot), window.instant(run.end_slot))
        for run in placement.runs
    )


def _data_from_at(placement: Placement, moving: int, window: PlanWindow) -> datetime | None:
    return window.instant(placement.start_slot - moving) if moving else None


def _start(job: ScheduledJob) -> float:
    return job.runs[0].start_at.timestamp() if job.runs else float("inf")


def _jobs(document: PlanDocument, statuses: dict[str, JobStatus]) -> list[ScheduledJob]:
    moving = transfer_slots(document)
    placed = [
        ScheduledJob(
            job=placement.job,
            status=statuses.get(placement.job),
            site=placement.site,
            runs=placement_runs(placement, document.window),
            reason="",
            data_from_at=_data_from_at(placement, moving[placement.job], document.window),
        )
        for placement in document.plan.placements
    ]
    left_out = [
        ScheduledJob(left.job, statuses.get(left.job), None, (), left.reason)
        for left in document.plan.unserved
    ]
    return placed + left_out


def _sites(document: PlanDocument, now: datetime) -> list[SiteNow]:
    slot = document.window.slot_of(now)
    if not 0 <= slot < document.window.n_slots:
        return []
    pairs = zip(document.problem.sites, document.plan.flows, strict=True)
    return [
        _site_now(flows, tuple(unit.name for unit in site.storage), slot) for site, flows in pairs
    ]


def _site_now(flows: SiteFlows, batteries: tuple[str, ...], slot: int) -> SiteNow:
    signed = (
        charge[slot] - discharge[slot]
        for charge, discharge in zip(flows.charge_kw, flows.discharge_kw, strict=True)
    )
    return SiteNow(
        site=flows.site,
        it_load_kw=flows.it_load_kw[slot],
        import_kw=flows.import_kw[slot],
        export_kw=flows.export_kw[slot],
        renewable_kw=sum(series[slot] for series in flows.renewable_kw),
        generator_kw=sum(series[slot] for series in flows.generator_kw),
        shortfall_kw=flows.shortfall_kw[slot],
        battery_kw=dict(zip(batteries, signed, strict=True)),
    )
