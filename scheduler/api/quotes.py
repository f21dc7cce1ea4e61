"""Quotes: what a job would cost by several deadlines, before it is submitted."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from scheduler.api.auth import SubmitterDep
from scheduler.api.context import ContextDep, NowDep, SessionDep
from scheduler.api.schedule import ScheduledRunView
from scheduler.api.views import Body, View
from scheduler.services import quotes
from scheduler.specs import JobSpec
from scheduler.specs.base import Instant

router = APIRouter(prefix="/v1/quotes", tags=["jobs"])

MOST_DEADLINES = 12
NO_RESERVATION = (
    "A quote reads the plan in force as it stands and holds nothing for anybody: once submitted,"
    " the job is planned with all others, anew."
)


class QuoteRequest(Body):
    """A job as it would be submitted, and by when it might have to be done."""

    job: JobSpec = Field(description="As `POST /v1/jobs` takes it; the command may be left out.")
    deadlines: Annotated[tuple[Instant, ...], Field(min_length=1, max_length=MOST_DEADLINES)] | (
        None
    ) = Field(
        default=None,
        description=(
            f"At most {MOST_DEADLINES} instants. None: a menu of the earliest it could be done if"
            " it were alone, 6, 12, 24 and 48 hours later, its own deadline and the end of the"
            " plan."
        ),
    )


class QuotedDeadlineView(View):
    """The cheapest way to be done by one deadline."""

    deadline_at: datetime
    fits: bool = Field(
        description="Whether the plan has room for it; else the figures say what room would cost."
    )
    blocked_by: list[str] = Field(description="Which limits stand against it; empty: it fits.")
    site: str | None = Field(description="None: not even alone could it be done in time.")
    point: str | None
    start_at: datetime | None
    end_at: datetime | None
    runs: list[ScheduledRunView]
    cost_eur: float | None = Field(
        description=(
            "What it adds to the objective of the plan [EUR]: energy, network, peak, carbon at its"
            " price, restarts, data transfer, lateness. Batteries stay as planned: planning the"
            " same jobs anew can only be cheaper. Where it does not fit: at the plan's slot prices."
        )
    )
    paid_eur: float | None = Field(description="What of it is really paid [EUR]; None: no room.")
    carbon_kg: float | None = Field(
        description=(
            "Of the sources its site would draw from [kg CO2]; no room: as if all were imported."
        )
    )
    energy_kwh: float | None = Field(description="What the site draws more, PUE included [kWh].")
    gpu_hours: float | None
    gpu_eur: float | None = Field(
        description=(
            "Price of its GPU-hours in the plan [EUR], on top of `cost_eur`: what they are worth to"
            " other jobs. Nobody pays it. None: the plan has no slot prices."
        )
    )
    total_eur_per_gpu_hour: float | None = Field(
        description="`cost_eur` and `gpu_eur` by GPU-hour held [EUR]."
    )


class QuotesView(View):
    """A menu of deadlines, in order of time, and the plan it was read off."""

    job: str
    plan_id: UUID
    plan_created_at: datetime
    window_start: datetime
    window_end: datetime = Field(description="The plan knows nothing of what comes later.")
    asked_at: datetime
    carbon_intensity_name: str
    jobs_submitted_since: int = Field(
        description="Jobs that wait and are not in the plan: they will want room too."
    )
    note: str = NO_RESERVATION
    quotes: list[QuotedDeadlineView]


@router.post("")
def quote_job(
    body: QuoteRequest,
    session: SessionDep,
    context: ContextDep,
    _caller: SubmitterDep,
    now: NowDep,
) -> QuotesView:
    """Say what a job would cost and emit, and when it would run, by each of several deadlines.

    Nothing is submitted and nothing reserved. It is read off the plan in force (404: there is
    none; 409: it ends before the job could begin, or lacks a predecessor): the cheapest way to run
    the job on GPUs no other holds. Later deadlines never cost more.
    """
    told = quotes.quote_job(session, context.ready_plans, body.job, body.deadlines, now)
    return QuotesView.model_validate(told)
