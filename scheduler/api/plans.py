"""Plans: list, look at, compare two, approve, reject."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from scheduler.api.auth import OperatorDep, SubmitterDep
from scheduler.api.context import NowDep, PageDep, SessionDep
from scheduler.api.views import Note, PageView, View, page_view
from scheduler.db.models import PlanStatus
from scheduler.services import plans
from scheduler.services.plan_document import PlanDocument
from scheduler.views import compare

router = APIRouter(prefix="/v1/plans", tags=["plans"])


class PlanView(View):
    """Figures of one plan and what was decided about it."""

    id: UUID
    run_id: UUID
    fleet_version: int
    created_at: datetime
    window_start: datetime
    window_end: datetime
    slot_minutes: int
    n_slots: int
    status: PlanStatus
    decided_by: str | None
    decided_at: datetime | None
    decision_note: str
    rung: str = Field(description="How it was found: exact, best_found, greedy, ...")
    objective_eur: float = Field(description="What the solver minimised, carbon price included.")
    bound_eur: float | None = Field(description="Proven lower bound; None: nothing was proven.")
    gap: float | None = Field(description="Relative distance of the two.")
    money_eur: float = Field(description="What is really paid.")
    carbon_kg: float = Field(description="Location-based unless the fleet names another intensity.")
    baseline_money_eur: float = Field(description="Run-now policy, same capacity, batteries idle.")
    baseline_carbon_kg: float
    n_violations: int
    marks: list[str] = Field(description="Stale, filled or short inputs.")
    breaches: list[str] = Field(description="What verification found; then it was refused.")


class FigureView(View):
    """One total of both plans."""

    key: str
    label: str
    unit: str
    first: float
    second: float


class JobChangeView(View):
    """What one job does in either plan."""

    job: str
    kind: str
    first: str | None
    second: str | None
    shift_hours: float | None


class ComparisonView(View):
    """Two plans side by side."""

    first: UUID
    second: UUID
    figures: list[FigureView]
    changes: list[JobChangeView]
    unchanged_jobs: int
    text: str = Field(description="The same as readable tables.")


@router.get("")
def list_plans(
    session: SessionDep, _caller: SubmitterDep, page: PageDep, status: PlanStatus | None = None
) -> PageView[PlanView]:
    """List plans, newest first. `status=proposed` lists those that wait for a decision."""
    return page_view(plans.list_plans(session, status, page), PlanView.model_validate)


@router.get("/compare")
def compare_plans(
    first: Annotated[UUID, Query(description="Id of a plan.")],
    second: Annotated[UUID, Query(description="Id of another plan.")],
    session: SessionDep,
    _caller: SubmitterDep,
) -> ComparisonView:
    """Compare two plans: totals, and every job that runs elsewhere or at another time."""
    comparison = compare(plans.read_document(session, first), plans.read_document(session, second))
    return ComparisonView(
        first=first,
        second=second,
        figures=[
            FigureView(
                key=row.key, label=row.label, unit=row.unit, first=row.other, second=row.plan
            )
            for row in comparison.figures
        ],
        changes=[JobChangeView.model_validate(change) for change in comparison.changes],
        unchanged_jobs=comparison.unchanged_jobs,
        text=comparison.text(),
    )


@router.get("/{plan_id}")
def get_plan(plan_id: UUID, session: SessionDep, _caller: SubmitterDep) -> PlanView:
    """Show one plan's figures. Its parts have addresses of their own, below this one."""
    return PlanView.model_validate(plans.get_plan(session, plan_id))


@router.get("/{plan_id}/document")
def get_plan_document(plan_id: UUID, session: SessionDep, _caller: SubmitterDep) -> PlanDocument:
    """Show the whole plan with its problem and its baseline, as `gridtide verify` reads it."""
    return plans.read_document(session, plan_id)


@router.post("/{plan_id}/approve")
def approve_plan(
    plan_id: UUID, body: Note, session: SessionDep, caller: OperatorDep, now: NowDep
) -> PlanView:
    """Put a proposed plan in force; the plan that was in force is superseded in the same moment.

    How to review one from here:

    1. `GET /v1/plans?status=proposed` gives the ids of the plans that wait.
    2. `GET /v1/plans/{plan_id}/summary` shows the totals against run-now, what is violated and
       which inputs were stale, as text; `GET /v1/plans/{plan_id}/chart.png` shows the picture.
    3. `GET /v1/plans/compare` says what would change against the plan in force.
    4. Approve here, or turn it down with `POST /v1/plans/{plan_id}/reject`.

    A plan that verification refused, that was decided on before, or whose window is over cannot be
    approved (409).
    """
    return PlanView.model_validate(
        plans.approve_plan(session, plan_id, caller.name, now, body.note)
    )


@router.post("/{plan_id}/reject")
def reject_plan(
    plan_id: UUID, body: Note, session: SessionDep, caller: OperatorDep, now: NowDep
) -> PlanView:
    """Turn a proposed plan down. The plan in force stays in force."""
    return PlanView.model_validate(plans.reject_plan(session, plan_id, caller.name, now, body.note))
