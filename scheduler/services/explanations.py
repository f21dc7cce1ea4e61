"""Why a job runs where and when it does, told in instants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from optimizer import Alternative
from scheduler.services import jobs
from scheduler.services.errors import Conflict
from scheduler.services.ready_plans import ReadyPlans
from scheduler.services.schedule import ScheduledRun, placement_runs
from scheduler.services.window import PlanWindow


@dataclass(frozen=True, slots=True)
class OtherWay:
    """Another way to run the job; instants and figures are ``None`` where it is impossible."""

    what: str  # e.g. "at site FR", "at another time"
    site: str
    point: str
    start_at: datetime | None
    end_at: datetime | None
    extra_eur: float | None
    extra_kg: float | None
    blocked_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JobExplanation:
    """Where the plan in force puts a job, what that costs, and what else was possible."""

    job: str
    plan_id: UUID
    site: str | None
    runs: tuple[ScheduledRun, ...]
    reason: str
    cost_eur: float
    carbon_kg: float
    carbon_intensity_name: str
    at_slot_prices: bool
    alternatives: tuple[OtherWay, ...]


def explain_job(session: Session, ready_plans: ReadyPlans, id_or_name: str) -> JobExplanation:
    """Explain a job by the plan in force.

    Raises
    ------
    NotFound
        There is no such job, or no plan in force.
    Conflict
        The plan in force was made without the job.
    """
    job = jobs.find_job(session, id_or_name)
    ready = ready_plans.in_force(session)
    window = ready.document.window

    def name_slot(slot: int) -> str:
        return f"{window.instant(slot):%Y-%m-%d %H:%M} UTC"

    try:
        told = ready.explain(job.name, name_slot)
    except KeyError as error:
        raise Conflict(
            f"job {job.name} is not in the plan in force: it was submitted later or had ended"
        ) from error
    placed = told.placement
    return JobExplanation(
        job=job.name,
        plan_id=ready.plan_id,
        site=None if placed is None else placed.site,
        runs=() if placed is None else placement_runs(placed, window),
        reason=told.reason,
        cost_eur=told.cost_eur,
        carbon_kg=told.carbon_kg,
        carbon_intensity_name=ready.document.problem.carbon_intensity_name,
        at_slot_prices=told.at_slot_prices,
        alternatives=tuple(_other_way(other, window) for other in told.alternatives),
    )


def _other_way(other: Alternative, window: PlanWindow) -> OtherWay:
    return OtherWay(
        what=other.what,
        site=other.site,
        point=other.point,
        start_at=None if other.start_slot is None else window.instant(other.start_slot),
        end_at=None if other.end_slot is None else window.instant(other.end_slot),
        extra_eur=other.extra_eur,
        extra_kg=other.extra_kg,
        blocked_by=other.blocked_by,
    )
