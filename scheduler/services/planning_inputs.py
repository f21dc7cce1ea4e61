"""Everything a plan is made from, read from the database as it is known now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import pandas as pd
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connectors.types import GridEventNotice, Window
from scheduler.db.models import (
    OPEN_STATUSES,
    CommandKind,
    CommandOutcome,
    DispatchCommand,
    FleetVersion,
    GridEvent,
    Job,
    JobStatus,
    PlanningRun,
)
from scheduler.services import fleet as fleets
from scheduler.services.assemble import (
    FILL_HISTORY,
    AnnouncedStart,
    Assembled,
    FleetState,
    JobToPlan,
    assemble,
)
from scheduler.services.assemble_scenarios import history_span, past_issues
from scheduler.services.carried_meter import energy_so_far, peak_so_far
from scheduler.services.carried_state import announced_starts, data_left_gb, soc_at
from scheduler.services.forecast_fits import with_fits
from scheduler.services.forecast_records import Due, due_forecasts, known_forecasts
from scheduler.services.own_forecasts import forecast_rows, with_rows
from scheduler.services.plan_document import PlanDocument
from scheduler.services.plans import find_in_force, read_document
from scheduler.services.pool_states import pools_seen
from scheduler.services.run_lengths import expected_left_hours, read_run_times
from scheduler.services.signal_store import Wanted, all_values
from scheduler.services.signals import signals_frame
from scheduler.services.window import PlanWindow, slot_start_not_before
from scheduler.services.work import work_done_hours
from scheduler.specs import FleetSpec, ForecastMethod, JobSpec
from scheduler.specs.base import EARLIEST, MONTH_MINUTES
from scheduler.specs.grid_event import notice_of


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was known at ``now``; ``in_force`` is the plan then in force."""

    now: datetime
    fleet_version: int
    fleet: FleetSpec
    window: PlanWindow
    jobs: tuple[JobToPlan, ...]
    signals: pd.DataFrame
    events: tuple[GridEventNotice, ...]
    state: FleetState
    in_force: PlanDocument | None
    history: pd.DataFrame | None = None

    def assemble(self) -> Assembled:
        """Turn them into a problem; raises as ``assemble`` does."""
        return assemble(
            self.fleet,
            self.jobs,
            self.signals,
            self.events,
            self.window,
            now=self.now,
            state=self.state,
            history=self.history,
        )


def read_inputs(session: Session, run: PlanningRun, now: datetime) -> Inputs:
    """Read what is known at ``now`` for the window of ``run``.

    Raises
    ------
    NotFound
        No fleet was ever set.
    ValueError
        The run's window does not begin on a slot of the fleet.
    """
    version = fleets.current(session)
    window = window_of(fleets.spec_of(version), run, now)
    inputs = inputs_for(session, version, window, now)
    return replace(inputs, history=_history(session, inputs.fleet, window, now))


def forecasts_for(session: Session, run: PlanningRun, now: datetime) -> tuple[Due, ...]:
    """Return the forecasts that ``run`` needs and that are not on record.

    Raises
    ------
    NotFound
        No fleet was ever set.
    ValueError
        The run's window does not begin on a slot of the fleet.
    """
    fleet = fleets.spec_of(fleets.current(session))
    return due_forecasts(session, fleet, window_of(fleet, run, now), now)


def inputs_for(
    session: Session, version: FleetVersion, window: PlanWindow, now: datetime
) -> Inputs:
    """Read what is known at ``now`` for ``window``, without the history that errors are from."""
    fleet = fleets.spec_of(version)
    stored = find_in_force(session)
    in_force = None if stored is None else read_document(session, stored.id)
    open_jobs = _open_jobs(session)
    return Inputs(
        now=now,
        fleet_version=version.id,
        fleet=fleet,
        window=window,
        jobs=_jobs_to_plan(session, open_jobs, in_force, fleet, window.start, now),
        signals=_signals(session, fleet, window, now),
        events=_events(session, fleet, window),
        state=_state(session, fleet, open_jobs, in_force, window),
        in_force=in_force,
    )


def _history(
    session: Session, fleet: FleetSpec, window: PlanWindow, now: datetime
) -> pd.DataFrame | None:
    """Read every value known of past days, if the fleet plans with their errors."""
    if fleet.planning.uncertainty is None:
        return None
    days = fleet.planning.uncertainty.history_days
    published = all_values(session, Wanted(*history_span(window, days)), EARLIEST, now)
    forecast = [
        forecast_rows(
            known_forecasts(session, Window(past.start, past.end), issued_at),
            fleet.planning.margins,
            past,
        )
        for past, issued_at in past_issues(window, now, days)
    ]
    return with_rows(published, pd.concat(forecast) if forecast else pd.DataFrame())


def _signals(session: Session, fleet: FleetSpec, window: PlanWindow, now: datetime) -> pd.DataFrame:
    """Read what is published, corrected, and behind it what was forecast, as known at ``now``."""
    span = Window(window.start - FILL_HISTORY, window.end)
    signals = with_fits(session, fleet, signals_frame(session, span, now), now)
    if fleet.planning.forecast is ForecastMethod.NONE:
        return signals
    issued = known_forecasts(session, Window(window.start, window.end), now)
    names = {site.name for site in fleet.sites}
    of_fleet = [one for one in issued if one.site in names]
    return with_rows(signals, forecast_rows(of_fleet, fleet.planning.margins, window))


def window_of(fleet: FleetSpec, run: PlanningRun, now: datetime) -> PlanWindow:
    """Return the window a run asks for, else the one that begins with the next slot.

    Raises ``ValueError`` where the run's does not begin on a slot of the fleet.
    """
    slot_minutes = fleet.planning.slot_minutes
    start = run.window_start or slot_start_not_before(now, slot_minutes)
    return PlanWindow(start, slot_minutes, max(1, run.hours * 60 // slot_minutes))


def _open_jobs(session: Session) -> Sequence[Job]:
    """Jobs to plan, in the order they came."""
    return session.scalars(
        select(Job)
        .where(Job.status.in_(OPEN_STATUSES), Job.cancel_requested_at.is_(None))
        .order_by(Job.submitted_at, Job.name)
    ).all()


def _jobs_to_plan(
    session: Session,
    jobs: Sequence[Job],
    in_force: PlanDocument | None,
    fleet: FleetSpec,
    begin: datetime,
    now: datetime,
) -> tuple[JobToPlan, ...]:
    begun = _last_begins(session, [job.id for job in jobs])
    announced = {} if in_force is None else announced_starts(in_force)
    left_gb = data_left_gb(session, fleet, begin, now)
    to_plan = [_job_to_plan(job, begun.get(job.id), announced.get(job.name), now) for job in jobs]
    expected = _expected(session, to_plan, fleet, now)
    return tuple(
        replace(standing, data_left_gb=left_gb.get(job.id, {}), expected_left_hours=hours)
        for job, standing, hours in zip(jobs, to_plan, expected, strict=True)
    )


def _expected(
    session: Session, jobs: Sequence[JobToPlan], fleet: FleetSpec, now: datetime
) -> list[float | None]:
    """Return the work that is expected to be left of each job, where the fleet wants it read so."""
    spec = fleet.planning.run_times
    if spec is None:
        return [None] * len(jobs)
    run_times = read_run_times(session, now)
    return [
        expected_left_hours(run_times, job.spec, job.work_left_hours, spec.quantile) for job in jobs
    ]


def _job_to_plan(
    job: Job, begun_at: datetime | None, announced: AnnouncedStart | None, now: datetime
) -> JobToPlan:
    spec = JobSpec.model_validate(job.spec)
    is_running = job.status is JobStatus.RUNNING
    return JobToPlan(
        spec=spec,
        work_left_hours=max(0.0, spec.work_hours - work_done_hours(job, spec, now)),
        site=job.site,
        point=job.point,
        is_running=is_running,
        had_started=job.starts > 0,
        running_since=begun_at if is_running else None,
        pauses_made=max(0, job.starts - 1 - job.crashes),
        failed_checkpoints=job.failed_checkpoints,
        announced=announced,
    )


def _last_begins(session: Session, jobs: Sequence[UUID]) -> dict[UUID, datetime]:
    """When each job was last started or resumed."""
    begins = (CommandKind.SUBMIT, CommandKind.RESUME)
    rows = session.execute(
        select(DispatchCommand.job_id, func.max(DispatchCommand.finished_at))
        .where(
            DispatchCommand.job_id.in_(jobs),
            DispatchCommand.kind.in_(begins),
            DispatchCommand.outcome == CommandOutcome.DONE,
        )
        .group_by(DispatchCommand.job_id)
    )
    return {job: at for job, at in rows if job is not None and at is not None}


def _events(session: Session, fleet: FleetSpec, window: PlanWindow) -> tuple[GridEventNotice, ...]:
    """Return calls of the window, and those before it whose rebound may reach into it."""
    agreed = select(func.max(GridEvent.rebound_minutes)).where(
        GridEvent.cancelled_at.is_(None),
        GridEvent.end_at > window.start - timedelta(minutes=MONTH_MINUTES),
    )
    by_terms = (calls.rebound_minutes for calls in fleet.commitments.calls)
    longest = max((session.scalar(agreed) or 0.0, *by_terms))
    rows = session.scalars(
        select(GridEvent)
        .where(
            GridEvent.cancelled_at.is_(None),
            GridEvent.end_at > window.start - timedelta(minutes=longest),
            GridEvent.start_at < window.end,
        )
        .order_by(GridEvent.start_at, GridEvent.external_id)
    )
    return tuple(map(notice_of, rows))


def _state(
    session: Session,
    fleet: FleetSpec,
    jobs: Sequence[Job],
    in_force: PlanDocument | None,
    window: PlanWindow,
) -> FleetState:
    awaited = {name for job in jobs for name in job.spec["after"]}
    over = select(Job.name, Job.status).where(
        Job.name.in_(awaited), Job.status.not_in(OPEN_STATUSES)
    )
    ended = {row.name: row.status for row in session.execute(over)}
    return FleetState(
        soc_kwh=soc_at(session, in_force, window.start),
        peak_so_far_kw=peak_so_far(fleet, in_force, window),
        energy_so_far_kwh=energy_so_far(fleet, in_force, window),
        pools=pools_seen(session),
        declined=frozenset() if in_force is None else in_force.declined,
        succeeded=_named(ended, JobStatus.SUCCEEDED),
        failed=frozenset(ended) - _named(ended, JobStatus.SUCCEEDED),
    )


def _named(ended: Mapping[str, JobStatus], status: JobStatus) -> frozenset[str]:
    return frozenset(name for name, its_status in ended.items() if its_status is status)
