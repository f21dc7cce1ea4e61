"""Why a job runs where and when it does."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from scheduler.api.auth import SubmitterDep
from scheduler.api.context import ContextDep, SessionDep
from scheduler.api.schedule import ScheduledRunView
from scheduler.api.views import View
from scheduler.services import explanations

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


class AlternativeView(View):
    """Another way the job could have run, at the prices of the plan."""

    what: str = Field(
        description="At site FR, at another time, at operating point ..., as early as possible."
    )
    site: str
    point: str
    start_at: datetime | None = Field(description="None: it cannot run like this at all.")
    end_at: datetime | None
    extra_eur: float | None = Field(description="What it would cost more [EUR].")
    extra_kg: float | None = Field(description="What it would emit more [kg CO2].")
    blocked_by: list[str] = Field(description="What stands against it; empty: only the price.")


class ExplanationView(View):
    """Why a job stands where it stands in the plan in force."""

    job: str
    plan_id: UUID
    site: str | None = Field(description="None: the plan leaves the job out.")
    runs: list[ScheduledRunView]
    reason: str
    cost_eur: float = Field(description="Of running it so; of leaving it out, where it does not.")
    carbon_kg: float
    carbon_intensity_name: str
    at_slot_prices: bool = Field(description="False: the plan has none; import prices had to do.")
    alternatives: list[AlternativeView]


@router.get("/{job}/explanation")
def explain_job(
    job: str, session: SessionDep, context: ContextDep, _caller: SubmitterDep
) -> ExplanationView:
    """Say why the job runs where and when it does, and what the alternatives would have cost.

    These are the next best other site, operating point and start, and the earliest possible one.
    Each says what it would cost and emit more, and which limit stands against it, if any. Costs are
    at the slot prices of the plan; carbon is that of imported energy.
    """
    told = explanations.explain_job(session, context.ready_plans, job)
    return ExplanationView.model_validate(told)
