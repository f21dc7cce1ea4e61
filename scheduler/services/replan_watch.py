"""The replan watch: queues a planning run as soon as there is a cause for one.

It is cheap while nothing happens: a few numbers say whether anything has changed since it last
looked closely. A close look reads what a planning run would read and compares it with the newest
plan (``replan_causes``). Nothing is kept between looks that a restart would lose: of any number of
watches, on any number of machines, each cause gets one run.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connectors.types import SignalKind
from optimizer import OptimizerError
from scheduler.db.models import (
    OPEN_STATUSES,
    FleetVersion,
    GridEvent,
    Job,
    PlanningRun,
    PlanStatus,
    PoolState,
    RunStatus,
    SignalSeries,
    SignalValue,
    SignalVerdict,
    StoredPlan,
)
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import fleet as fleets
from scheduler.services.assemble import InputRefused
from scheduler.services.planning_inputs import Inputs, inputs_for
from scheduler.services.plans import read_document
from scheduler.services.replan_causes import (
    Arrivals,
    Cause,
    CauseKind,
    Planned,
    Standing,
    arrivals_cause,
    broken_plan_cause,
    grid_event_cause,
    publication_cause,
    regret_cause,
)
from scheduler.services.runs import OPEN, queue_run
from scheduler.services.triggers import fleet_request
from scheduler.specs import FleetSpec, ReplanSpec
from scheduler.timekeeping import Now

log = logging.getLogger(__name__)

REQUESTED_BY = "replan"
CLOSE_LOOK_EVERY = timedelta(minutes=1)
"""Time changes things too, and not all that changes shows in the few numbers."""
AFTER_FAILURE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Read:
    """What one close look read, all of one instant."""

    fleet: FleetSpec
    planned: Planned | None
    inputs: Inputs | None
    price_until: Mapping[str, datetime]
    arrivals: Arrivals


class ReplanWatch:
    """Looks for causes to plan anew."""

    def __init__(self, sessions: SessionFactory, now: Now) -> None:
        self._sessions = sessions
        self._now = now
        self._seen: tuple[object, ...] = ()
        self._close_look_at: datetime | None = None
        self._planned: Planned | None = None
        self._regret: tuple[UUID, float] | None = None

    def look(self) -> Cause | None:
        """Look once; return the cause for which a run was queued, if there was any."""
        now = self._now()
        with transaction(self._sessions) as session:
            version = fleets.find_current(session)
            spec = None if version is None else fleets.spec_of(version).planning.replan
            if version is None or spec is None or _is_planning(session):
                return None
            is_spaced = _is_spaced(session, spec, now)
            pulse = (version.id, is_spaced, *_pulse(session, now))
            if not self._is_due(pulse, now):
                return None
            read = self._read(session, version, now)
        cause = self._cause(spec, read, now, urgent_only=is_spaced)
        self._seen, self._close_look_at = pulse, now
        return cause if cause is not None and self._queue(read, cause, now) else None

    def _is_due(self, pulse: tuple[object, ...], now: datetime) -> bool:
        looked_at = self._close_look_at
        return pulse != self._seen or looked_at is None or now - looked_at >= CLOSE_LOOK_EVERY

    def _read(self, session: Session, version: FleetVersion, now: datetime) -> _Read:
        fleet = fleets.spec_of(version)
        planned = self._newest(session, fleet)
        left = None if planned is None else planned.remaining(now)
        if planned is None or left is None:
            return _Read(fleet, None, None, {}, _arrivals(session, None))
        return _Read(
            fleet=fleet,
            planned=planned,
            inputs=inputs_for(session, version, left, now),
            price_until=_price_until(session, fleet, now),
            arrivals=_arrivals(session, planned),
        )

    def _newest(self, session: Session, fleet: FleetSpec) -> Planned | None:
        """Return the newest plan that holds, read once."""
        newest = session.execute(
            select(StoredPlan.id, StoredPlan.inputs_known_at, StoredPlan.created_at)
            .where(StoredPlan.status != PlanStatus.REFUSED)
            .order_by(StoredPlan.created_at.desc())
            .limit(1)
        ).one_or_none()
        if newest is None:
            return None
        plan_id, inputs_known_at, created_at = newest
        if self._planned is None or self._planned.plan_id != plan_id:
            known_at = inputs_known_at or created_at  # older plans do not say
            document = read_document(session, plan_id)
            price_until = _price_until(session, fleet, known_at)
            self._planned = Planned(plan_id, document, known_at, price_until)
        return self._planned

    def _cause(
        self, spec: ReplanSpec, read: _Read, now: datetime, *, urgent_only: bool
    ) -> Cause | None:
        """Find the first cause there is, what takes long last."""
        planned, inputs = read.planned, read.inputs
        if planned is None or inputs is None:
            return None if urgent_only else _no_plan(read.arrivals)
        try:
            assembled = inputs.assemble()
        except InputRefused as error:
            log.warning("no look at what has changed: %s", error)
            return None
        cause = grid_event_cause(spec, planned, assembled)
        standing = Standing.of(planned, assembled)
        cause = cause or broken_plan_cause(spec, standing)
        if urgent_only:
            return cause if cause is not None and cause.is_urgent else None
        return (
            cause
            or publication_cause(spec, planned, read.price_until)
            or arrivals_cause(spec, read.arrivals, now)
            or self._regret_cause(spec, planned, standing)
        )

    def _regret_cause(self, spec: ReplanSpec, planned: Planned, standing: Standing) -> Cause | None:
        try:
            if self._regret is None or self._regret[0] != planned.plan_id:
                self._regret = (planned.plan_id, planned.regret_eur())
            return regret_cause(spec, standing, self._regret[1])
        except OptimizerError as error:
            log.warning("what holding on to plan %s costs is not known: %s", planned.plan_id, error)
            return None

    def _queue(self, read: _Read, cause: Cause, now: datetime) -> bool:
        """Queue a run for ``cause`` unless somebody else has."""
        spec = read.fleet.planning.replan
        with transaction(self._sessions) as session:
            about = "none" if read.planned is None else str(read.planned.plan_id)
            prefix = f"replan/{about}/"
            number = session.scalar(
                select(func.count()).where(PlanningRun.trigger_key.startswith(prefix))
            )
            request = fleet_request(read.fleet, f"{prefix}{number}", REQUESTED_BY, cause.text)
            is_anew = cause.kind is not CauseKind.NO_PLAN
            if is_anew and spec is not None and spec.time_limit_s is not None:
                request = request.within(spec.time_limit_s)
            if _is_planning(session):
                return False
            _, is_new = queue_run(session, request, now)
        if is_new:
            log.info("replanning: %s", cause.text)
        return is_new


def _no_plan(arrivals: Arrivals) -> Cause | None:
    if not arrivals.n_jobs:
        return None
    text = f"there is no plan from here on, and {arrivals.n_jobs} jobs wait for one"
    return Cause(CauseKind.NO_PLAN, text)


def _is_planning(session: Session) -> bool:
    """Whether a run is queued or under way: it reads, or will be compared with, all there is."""
    under_way = select(PlanningRun.id).where(PlanningRun.status.in_(OPEN)).limit(1)
    return session.scalar(under_way) is not None


def _is_spaced(session: Session, spec: ReplanSpec, now: datetime) -> bool:
    """Whether the last run was queued so little ago that only what is urgent counts."""
    last = session.execute(
        select(PlanningRun.queued_at, PlanningRun.status)
        .order_by(PlanningRun.queued_at.desc())
        .limit(1)
    ).one_or_none()
    if last is None:
        return False
    spacing = timedelta(minutes=spec.spacing_minutes)
    if last.status is RunStatus.FAILED:
        spacing = max(spacing, AFTER_FAILURE)
    return bool(now - last.queued_at < spacing)


def _pulse(session: Session, now: datetime) -> tuple[object, ...]:
    """Return a few numbers that differ where something has changed."""
    jobs = session.execute(
        select(
            Job.status,
            func.count(),
            func.max(Job.submitted_at),
            func.sum(Job.starts),
            func.sum(Job.crashes),
        )
        .where(Job.status.in_(OPEN_STATUSES), Job.cancel_requested_at.is_(None))
        .group_by(Job.status)
        .order_by(Job.status)
    )
    pools = session.execute(
        select(
            PoolState.site,
            PoolState.pool,
            PoolState.gpus_available,
            PoolState.gpus_of_others,
            PoolState.silent_since,
        ).order_by(PoolState.site, PoolState.pool)
    )
    events = session.execute(
        select(
            GridEvent.external_id,
            GridEvent.start_at,
            GridEvent.end_at,
            GridEvent.limit_kw,
            GridEvent.breach_eur_per_kwh,
            GridEvent.ramp_minutes,
            GridEvent.payment_eur_per_kwh,
            GridEvent.rebound_kw,
            GridEvent.rebound_minutes,
            GridEvent.rebound_eur_per_kwh,
            GridEvent.cancelled_at,
        )
        .where(GridEvent.end_at > now)
        .order_by(GridEvent.external_id)
    )
    signals = session.execute(
        select(func.max(SignalSeries.newest_known_at), func.sum(SignalSeries.n_intervals))
    ).one()
    newest_verdict = session.scalar(select(func.max(SignalVerdict.decided_at)))
    newest_plan = session.scalar(select(func.max(StoredPlan.created_at)))
    rows: list[Any] = [[tuple(row) for row in found] for found in (jobs, pools, events)]
    return (*signals, newest_verdict, newest_plan, *rows)


def _price_until(session: Session, fleet: FleetSpec, known_at: datetime) -> dict[str, datetime]:
    """Return how far prices were known at ``known_at``, by site that had any for later."""
    until = {}
    for site in fleet.sites:
        last = session.execute(
            select(SignalValue.start_at, SignalValue.minutes)
            .where(
                SignalValue.site == site.name,
                SignalValue.kind == SignalKind.PRICE,
                SignalValue.start_at >= known_at,
                SignalValue.known_at <= known_at,
            )
            .order_by(SignalValue.start_at.desc())
            .limit(1)
        ).one_or_none()
        if last is not None:
            until[site.name] = last.start_at + timedelta(minutes=last.minutes)
    return until


def _arrivals(session: Session, planned: Planned | None) -> Arrivals:
    """Count the jobs that the newest plan does not know, and that came since."""
    wanted = select(Job.name, Job.submitted_at).where(
        Job.status.in_(OPEN_STATUSES), Job.cancel_requested_at.is_(None)
    )
    known: set[str] = set()
    if planned is not None:
        known = {job.name for job in planned.document.problem.jobs}
        wanted = wanted.where(Job.submitted_at >= planned.known_at - CLOSE_LOOK_EVERY)
    came = [row.submitted_at for row in session.execute(wanted) if row.name not in known]
    return Arrivals(len(came), min(came, default=None))
