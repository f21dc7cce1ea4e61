"""Who answers a call in the plan in force, as JSON and as a page."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from pydantic import Field

from scheduler.api.auth import SubmitterDep
from scheduler.api.context import ApiContext, ContextDep
from scheduler.api.pages import PersonDep
from scheduler.api.pricing import TimeLimit, alone
from scheduler.api.views import View
from scheduler.db.session import transaction
from scheduler.pricing import PricingFailed
from scheduler.services.errors import Conflict
from scheduler.services.event_answers import Answer, answer_of, read_asked
from scheduler.views import answer_page

router = APIRouter(prefix="/v1/grid-events", tags=["grid events"])
pages = APIRouter(
    prefix="/grid-events", include_in_schema=False, default_response_class=HTMLResponse
)


class SourceView(View):
    """What one battery, engine or job does for a call."""

    name: str
    how: str = Field(
        description="Of a job: capped, paused, moved, later, earlier, left out or changed."
    )
    mean_kw: float = Field(description="Import it saves in the time of the call.")
    energy_kwh: float = Field(description="Of that time; negative: it draws more.")
    cost_eur: float = Field(
        description="Over the whole plan: wear, fuel, restarts, transfers, lateness, and the energy"
        " it moves at the prices of its slots; by the weights."
    )


class SlotAnswerView(View):
    """One slot of a call [kW of import]."""

    start_at: datetime
    called_kw: float
    planned_kw: float
    without_kw: float = Field(description="In a plan made anew as if the call had not come.")


class AnswerView(View):
    """How the plan in force answers a call."""

    event: str
    plan_id: UUID
    sites: list[str]
    is_declined: bool
    effort_eur: float = Field(
        description="What it costs to deliver, payment, fee and penalties apart; by the weights."
    )
    gain_eur: float = Field(description="By how much the plan is better with the call.")
    other_eur: float = Field(
        description="Of the effort, what is with no source: carbon, peaks, charge left, other"
        " commitments, other sites."
    )
    without_gap: float | None = Field(
        description="So far the plan without the call may be from the best one."
    )
    sources: list[SourceView]
    slots: list[SlotAnswerView]


@router.get("/{external_id}/answer")
def get_answer(
    external_id: str, context: ContextDep, _caller: SubmitterDep, time_limit_s: TimeLimit = 20.0
) -> AnswerView:
    """Tell which batteries, engines and jobs deliver how many kW of a call, and at what cost.

    The plan in force is compared with one made anew as if the call had not come. One such question
    is answered at a time (409 for the others), and where the plan does not hold the call.
    """
    return AnswerView.model_validate(_answer(context, external_id, time_limit_s))


@pages.get("/{external_id}/answer")
def show_answer(
    external_id: str, context: ContextDep, _person: PersonDep, time_limit_s: TimeLimit = 20.0
) -> str:
    """Show the same as a page."""
    answer = _answer(context, external_id, time_limit_s)
    links = {
        "Grid events": "/grid-events",
        "Plan": f"/plans/{answer.plan_id}",
        "Answer (JSON)": f"/v1/grid-events/{external_id}/answer",
    }
    return answer_page(answer, links)


def _answer(context: ApiContext, external_id: str, time_limit_s: float) -> Answer:
    with transaction(context.sessions) as session:
        asked = read_asked(session, external_id, time_limit_s)
    with alone(context):
        try:
            return answer_of(asked, context.report_call(asked.question))
        except PricingFailed as error:
            raise Conflict(f"who answers {external_id} was not found: {error}") from error
