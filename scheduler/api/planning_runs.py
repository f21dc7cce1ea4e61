"""Planning runs: ask for a plan, see how far it is, call it off."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Response, status
from pydantic import Field

from scheduler.api.auth import OperatorDep, SubmitterDep
from scheduler.api.context import NowDep, PageDep, SessionDep
from scheduler.api.jobs import IdempotencyKey
from scheduler.api.views import Body, PageView, View, page_view, seen_before
from scheduler.db.models import PlanningRun, RunStatus
from scheduler.services import fleet, runs
from scheduler.services.runs import RunRequest
from scheduler.specs.base import Instant

router = APIRouter(prefix="/v1/planning-runs", tags=["planning runs"])

POLL_AFTER_S = 2


class PlanningRunBody(Body):
    """What to plan. Whatever is left out, the fleet's planning rules say."""

    window_start: Annotated[
        Instant | None, Field(description="Start of a slot; none: the next one.")
    ] = None
    hours: Annotated[int | None, Field(ge=1, le=24 * 31)] = None
    time_limit_s: Annotated[
        float | None, Field(gt=0, le=24 * 3600, description="For the solver.")
    ] = None


class PlanningRunView(View):
    """A planning run and how far it is."""

    id: UUID
    status: RunStatus
    requested_by: str
    reason: str = Field(description="What has happened; empty: its time has come, or it was asked.")
    window_start: datetime | None
    hours: int
    time_limit_s: float
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempts: int
    progress: dict[str, Any] | None = Field(description="Phase, seconds, best, bound and gap.")
    plan_id: UUID | None = Field(description="The plan it made, once it has succeeded.")
    error: str | None


@router.post("", status_code=status.HTTP_202_ACCEPTED, responses=seen_before(PlanningRunView))
def request_planning_run(
    *,
    body: PlanningRunBody,
    session: SessionDep,
    caller: OperatorDep,
    now: NowDep,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> PlanningRunView:
    """Queue a plan of the whole fleet. Look at `Location` until it has succeeded.

    Then review it: `/v1/plans/{id}/summary` as text and `/v1/plans/{id}/chart.png` as a picture,
    or the page `/plans/{id}`; and decide with `/v1/plans/{id}/approve` or `/reject`. The same
    request with the same `Idempotency-Key` is the same run (200), however late it comes.
    """
    rules = fleet.required_spec(session).planning
    request = RunRequest(
        trigger_key=f"manual/{caller.name}/{idempotency_key or uuid4()}",
        requested_by=caller.name,
        hours=body.hours or rules.horizon_hours,
        time_limit_s=body.time_limit_s or rules.time_limit_s,
        window_start=body.window_start,
        asked=body.model_dump(mode="json"),
    )
    run, created = runs.request_run(session, request, rules.slot_minutes, now)
    if not created:
        response.status_code = status.HTTP_200_OK
    response.headers["Location"] = f"{router.prefix}/{run.id}"
    return _shown(run, response)


@router.get("")
def list_planning_runs(
    session: SessionDep, _caller: SubmitterDep, page: PageDep, status: RunStatus | None = None
) -> PageView[PlanningRunView]:
    """List planning runs, newest first."""
    return page_view(runs.list_runs(session, status, page), PlanningRunView.model_validate)


@router.get("/{run_id}")
def get_planning_run(
    run_id: UUID, session: SessionDep, _caller: SubmitterDep, response: Response
) -> PlanningRunView:
    """Show one run. While it is not over, `Retry-After` says when to look again."""
    return _shown(runs.get_run(session, run_id), response)


@router.post("/{run_id}/cancel")
def cancel_planning_run(
    run_id: UUID, session: SessionDep, _caller: OperatorDep, now: NowDep
) -> PlanningRunView:
    """Call a run off, queued or under way."""
    return PlanningRunView.model_validate(runs.cancel_run(session, run_id, now))


def _shown(run: PlanningRun, response: Response) -> PlanningRunView:
    if run.status in runs.OPEN:
        response.headers["Retry-After"] = str(POLL_AFTER_S)
    return PlanningRunView.model_validate(run)
