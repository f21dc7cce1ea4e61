"""What a job would cost by each of several deadlines, before it is submitted.

Asked of the plan in force as it stands. Nothing is held for anybody: a job that is submitted after
the quote is planned with all others, anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from optimizer import Quote
from scheduler.db.models import Job, JobStatus
from scheduler.services.assemble_jobs import NotPlannableError, new_job
from scheduler.services.errors import Conflict, Invalid, Refusal
from scheduler.services.job_admission import require_possible
from scheduler.services.plan_document import PlanDocument
from scheduler.services.ready_plans import ReadyPlans
from scheduler.services.schedule import ScheduledRun, placement_runs
from scheduler.services.window import PlanWindow
from scheduler.specs import JobSpec

MENU_HOURS = (0, 6, 12, 24, 48)
"""The menu where no deadlines are asked for: hours after the job could be done at the earliest."""


@dataclass(frozen=True, slots=True)
class QuotedDeadline:
    """One line of the menu; see ``optimizer.Quote`` for what each figure means."""

    deadline_at: datetime
    fits: bool
    blocked_by: tuple[str, ...]
    site: str | None
    point: str | None
    start_at: datetime | None
    end_at: datetime | None
    runs: tuple[ScheduledRun, ...]
    cost_eur: float | None
    paid_eur: float | None
    carbon_kg: float | None
    energy_kwh: float | None
    gpu_hours: float | None
    gpu_eur: float | None
    total_eur_per_gpu_hour: float | None


@dataclass(frozen=True, slots=True)
class Quotes:
    """The menu, and the plan it was read off.

    ``jobs_submitted_since`` is the number of jobs that wait and came after the plan was made: they
    are not in it, and will want room too.
    """

    job: str
    plan_id: UUID
    plan_created_at: datetime
    window_start: datetime
    window_end: datetime
    asked_at: datetime
    carbon_intensity_name: str
    jobs_submitted_since: int
    quotes: tuple[QuotedDeadline, ...]


def quote_job(
    session: Session,
    ready_plans: ReadyPlans,
    spec: JobSpec,
    deadlines: Sequence[datetime] | None,
    now: datetime,
) -> Quotes:
    """Quote ``spec`` for each of ``deadlines``, or for a menu; its own deadline is one of a menu.

    Raises
    ------
    NotFound
        No plan is in force.
    Conflict
        The plan in force ends before the job could begin.
    Invalid
        No plan of the fleet could ever hold the job, or a deadline is not after its release.
    """
    ready = ready_plans.in_force(session)
    document, window = ready.document, ready.document.window
    require_possible(session, document.fleet, spec)
    begin = max(spec.release_at, now, window.start)
    if begin >= window.end:
        raise Conflict(
            f"job {spec.name}: the plan in force ends at {window.end.isoformat()}, before the job"
            f" could begin at {begin.isoformat(timespec='seconds')}: ask again once it is renewed"
        )
    try:
        job = new_job(_awaiting(session, spec, document), document.fleet, window, begin)
    except NotPlannableError as error:
        raise Conflict(f"job {spec.name}: the plan in force cannot hold it: {error}") from error
    menu = sorted(set(_menu(spec, begin, window) if deadlines is None else deadlines))
    _require_after(spec, menu, begin)

    def name_slot(slot: int) -> str:
        return f"{window.instant(slot):%Y-%m-%d %H:%M} UTC"

    slots = [max(0, window.slot_of(deadline)) for deadline in menu]
    told = ready.quoter.quote(job, slots, name_slot)
    return Quotes(
        job=spec.name,
        plan_id=ready.plan_id,
        plan_created_at=document.created_at,
        window_start=window.start,
        window_end=window.end,
        asked_at=now,
        carbon_intensity_name=document.problem.carbon_intensity_name,
        jobs_submitted_since=_newer_jobs(session, document.created_at),
        quotes=tuple(_line(at, quote, window) for at, quote in zip(menu, told, strict=True)),
    )


def _menu(spec: JobSpec, begin: datetime, window: PlanWindow) -> list[datetime]:
    """Return the earliest end at the fastest point alone, some hours more, and the window's end.

    The job's own deadline is among them. None is later than the window's end.
    """
    fastest = max(point.speed for point in spec.operating_points)
    length = timedelta(hours=spec.work_hours / fastest)
    first = window.instant(window.slot_not_before(begin + length))
    hours = (timedelta(hours=hours) for hours in MENU_HOURS)
    ends = (*(first + later for later in hours), spec.deadline_at, window.end)
    return [min(end, window.end) for end in ends if end > begin]


def _require_after(spec: JobSpec, menu: Sequence[datetime], begin: datetime) -> None:
    refused = [
        Refusal(f"job {spec.name}", "deadlines", at.isoformat(), f"after {begin.isoformat()}")
        for at in menu
        if at <= begin
    ]
    if refused:
        raise Invalid(*refused)


def _awaiting(session: Session, spec: JobSpec, document: PlanDocument) -> JobSpec:
    """Return ``spec`` without predecessors that are done; the plan must have the others."""
    if not spec.after:
        return spec
    done = select(Job.name).where(Job.name.in_(spec.after), Job.status == JobStatus.SUCCEEDED)
    succeeded = set(session.scalars(done))
    awaited = tuple(name for name in spec.after if name not in succeeded)
    missing = set(awaited) - {job.name for job in document.problem.jobs}
    if missing:
        names = ", ".join(sorted(missing))
        raise Conflict(f"job {spec.name}: its predecessor {names} is not in the plan in force")
    return spec.model_copy(update={"after": awaited})


def _newer_jobs(session: Session, than: datetime) -> int:
    waiting = select(func.count()).where(Job.status == JobStatus.WAITING, Job.submitted_at > than)
    return session.scalar(waiting) or 0


def _line(deadline_at: datetime, quote: Quote, window: PlanWindow) -> QuotedDeadline:
    place = quote.placement
    total = None
    if quote.cost_eur is not None and quote.gpu_hours:
        total = (quote.cost_eur + (quote.gpu_eur or 0.0)) / quote.gpu_hours
    return QuotedDeadline(
        deadline_at=deadline_at,
        fits=quote.fits,
        blocked_by=quote.blocked_by,
        site=None if place is None else place.site,
        point=None if place is None else place.runs[0].point,
        start_at=None if place is None else window.instant(place.start_slot),
        end_at=None if place is None else window.instant(place.end_slot),
        runs=() if place is None else placement_runs(place, window),
        cost_eur=quote.cost_eur,
        paid_eur=quote.paid_eur,
        carbon_kg=quote.carbon_kg,
        energy_kwh=quote.energy_kwh,
        gpu_hours=quote.gpu_hours,
        gpu_eur=quote.gpu_eur,
        total_eur_per_gpu_hour=total,
    )
