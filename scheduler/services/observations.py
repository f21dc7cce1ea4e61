"""The numbers that are watched: queues, jobs, commands, and the last plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from scheduler.db.models import (
    OPEN_STATUSES,
    ClusterPower,
    CommandOutcome,
    DataTransfer,
    DispatchCommand,
    Job,
    JobStatus,
    PlanningRun,
    PlanStatus,
    RunStatus,
    StoredPlan,
    StreamState,
)
from scheduler.quality import Rule
from scheduler.services import fleet as fleets
from scheduler.services.feed_states import FeedStanding, feed_standings
from scheduler.services.pool_states import clocks_ahead_s
from scheduler.services.power import LONGEST_GAP, last_readings
from scheduler.services.shortfalls import (
    EventOutcome,
    LateJobs,
    count_late_jobs,
    count_settled_events,
)
from scheduler.services.signal_quality import count_open
from scheduler.services.stream_states import stream_states
from scheduler.services.transfers import LinkTotals, link_totals

Status = TypeVar("Status", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class LastPlan:
    """Figures of the plan made last, whatever was decided about it."""

    created_at: datetime
    gap: float | None  # relative
    wanted_gap: float  # at which its fleet lets a solve end before its time limit
    money_eur: float
    carbon_kg: float
    baseline_money_eur: float
    baseline_carbon_kg: float
    n_violations: int


@dataclass(frozen=True, slots=True)
class RunningSolve:
    """How far the solve of a worker is; what is not known yet is ``None``."""

    worker: str
    seconds: float
    best_eur: float | None
    bound_eur: float | None
    gap: float | None  # relative


@dataclass(frozen=True, slots=True)
class Observations:
    """What stands in the database at one instant. Every status is there, with 0 if unused."""

    runs: Mapping[RunStatus, int]
    jobs: Mapping[JobStatus, int]
    plans: Mapping[PlanStatus, int]
    commands: Mapping[CommandOutcome, int]
    caps_not_in_force: int  # jobs whose power cap somebody says is not in force
    checkpoints_failed: int  # jobs of which a checkpoint failed
    oldest_queued_s: float  # age of the planning run that waits longest [s]; 0: none waits
    last_plan: LastPlan | None
    solves: tuple[RunningSolve, ...]
    transfers: Mapping[JobStatus, int]
    links: tuple[LinkTotals, ...]
    clocks: Mapping[str, float]  # how far that of each cluster is ahead of the dispatcher's [s]
    signal_flags: Mapping[Rule, int]  # that nobody has decided on
    power: tuple[ClusterPower, ...]  # of the sites that were read a moment ago
    streams: tuple[StreamState, ...]
    feeds: tuple[FeedStanding, ...]
    late_jobs: Mapping[LateJobs, int]
    settled_events: Mapping[EventOutcome, int]


def observe(session: Session, now: datetime) -> Observations:
    """Count everything."""
    return Observations(
        runs=_count(session, PlanningRun.status, RunStatus),
        jobs=_count(session, Job.status, JobStatus),
        plans=_count(session, StoredPlan.status, PlanStatus),
        commands=_count(session, DispatchCommand.outcome, CommandOutcome),
        caps_not_in_force=_open_jobs(session, Job.power_cap_problem != ""),
        checkpoints_failed=_open_jobs(session, Job.failed_checkpoints > 0),
        oldest_queued_s=_oldest_queued_s(session, now),
        last_plan=_last_plan(session),
        solves=_solves(session),
        transfers=_count(session, DataTransfer.status, JobStatus),
        links=link_totals(session),
        clocks=clocks_ahead_s(session),
        signal_flags=count_open(session),
        power=tuple(last_readings(session, now - LONGEST_GAP)),
        streams=stream_states(session),
        feeds=_feeds(session, now),
        late_jobs=count_late_jobs(session, now),
        settled_events=count_settled_events(session, now),
    )


def _feeds(session: Session, now: datetime) -> tuple[FeedStanding, ...]:
    version = fleets.find_current(session)
    fleet = None if version is None else fleets.spec_of(version)
    return tuple(feed_standings(session, fleet, now).values())


def _count(
    session: Session, column: InstrumentedAttribute[Status], kind: type[Status]
) -> dict[Status, int]:
    rows = session.execute(select(column, func.count()).group_by(column))
    return dict.fromkeys(kind, 0) | dict(rows.all())


def _open_jobs(session: Session, which: ColumnElement[bool]) -> int:
    """Count the jobs of this kind that are not over."""
    found = select(func.count()).select_from(Job).where(which, Job.status.in_(OPEN_STATUSES))
    return session.scalar(found) or 0


def _oldest_queued_s(session: Session, now: datetime) -> float:
    queued = select(func.min(PlanningRun.queued_at)).where(PlanningRun.status == RunStatus.QUEUED)
    oldest = session.scalar(queued)
    return 0.0 if oldest is None else max(0.0, (now - oldest) / timedelta(seconds=1))


def _last_plan(session: Session) -> LastPlan | None:
    newest = select(StoredPlan).order_by(StoredPlan.created_at.desc(), StoredPlan.id.desc())
    plan = session.scalar(newest.limit(1))
    if plan is None:
        return None
    return LastPlan(
        created_at=plan.created_at,
        gap=plan.gap,
        wanted_gap=fleets.spec_of(fleets.get_version(session, plan.fleet_version)).planning.mip_gap,
        money_eur=plan.money_eur,
        carbon_kg=plan.carbon_kg,
        baseline_money_eur=plan.baseline_money_eur,
        baseline_carbon_kg=plan.baseline_carbon_kg,
        n_violations=plan.n_violations,
    )


def _solves(session: Session) -> tuple[RunningSolve, ...]:
    """Return the solves that have told how far they are."""
    running = select(PlanningRun.lease_owner, PlanningRun.progress).where(
        PlanningRun.status == RunStatus.RUNNING
    )
    return tuple(
        RunningSolve(
            owner, progress["seconds"], progress["best"], progress["bound"], progress["gap"]
        )
        for owner, progress in session.execute(running)
        if owner is not None and progress is not None
    )
