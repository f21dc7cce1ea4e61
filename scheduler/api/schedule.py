"""The schedule in force, and the record of commands that carried it out."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from scheduler.api.auth import SubmitterDep
from scheduler.api.context import NowDep, PageDep, SessionDep
from scheduler.api.views import PageView, SiteQuery, View, page_view
from scheduler.db.models import CommandKind, CommandOutcome, JobStatus
from scheduler.services import commands, schedule
from scheduler.services.commands import CommandFilter

router = APIRouter(prefix="/v1", tags=["schedule"])


class ScheduledRunView(View):
    """The job runs at ``point`` in [start_at, end_at)."""

    point: str
    start_at: datetime
    end_at: datetime


class ScheduledJobView(View):
    """Where and when one job runs; without runs, why it does not."""

    job: str
    status: JobStatus | None
    site: str | None
    runs: list[ScheduledRunView]
    reason: str
    data_from_at: datetime | None = Field(
        description="When moving its data there begins; None: there is none to move."
    )


class SiteNowView(View):
    """What a site is to do in the present slot [kW]; battery power is positive while charging."""

    site: str
    it_load_kw: float
    import_kw: float
    export_kw: float
    renewable_kw: float
    generator_kw: float
    shortfall_kw: float
    battery_kw: dict[str, float]


class ScheduleView(View):
    """The plan in force, by job, and by site for the present slot."""

    plan_id: UUID
    window_start: datetime
    window_end: datetime
    at: datetime
    jobs: list[ScheduledJobView]
    sites: list[SiteNowView]


class DispatchCommandView(View):
    """One command and what came of it; ``pending`` long after it was decided: unknown."""

    id: UUID
    plan_id: UUID | None
    job_id: UUID | None
    site: str
    kind: CommandKind
    detail: dict[str, Any]
    decided_at: datetime
    outcome: CommandOutcome
    finished_at: datetime | None
    error: str | None


@router.get("/schedule")
def get_schedule(
    session: SessionDep, _caller: SubmitterDep, now: NowDep, site: SiteQuery = None
) -> ScheduleView:
    """Show what is in force now, for every job, and for every site in the present slot."""
    return ScheduleView.model_validate(schedule.schedule_in_force(session, now, site))


@router.get("/dispatch-commands")
def list_dispatch_commands(
    session: SessionDep,
    _caller: SubmitterDep,
    page: PageDep,
    job_id: UUID | None = None,
    site: SiteQuery = None,
    outcome: CommandOutcome | None = None,
) -> PageView[DispatchCommandView]:
    """List commands sent to clusters and batteries, the one decided on last first."""
    wanted = CommandFilter(job_id, site, outcome)
    return page_view(
        commands.list_commands(session, wanted, page), DispatchCommandView.model_validate
    )
