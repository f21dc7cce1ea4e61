"""Reports that the grid side asked for, and what became of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from scheduler.api.auth import SubmitterDep
from scheduler.api.context import SessionDep
from scheduler.api.views import View
from scheduler.services.grid_reports import recent_reports

router = APIRouter(prefix="/v1/vpp", tags=["virtual power plant"])


class GridReportView(View):
    """One report; kinds of figures are in the words of who asked."""

    name: str
    asked_by: str
    event: str = Field(description="That asks for it, as its sender knows it.")
    sites: list[str]
    start_at: datetime = Field(description="Of what it tells.")
    end_at: datetime
    due_at: datetime
    told: list[str]
    not_told: list[str] = Field(description="What nobody here can tell, each with the reason.")
    sent_at: datetime | None = Field(description="None: it never will be, as `problem` says.")
    problem: str


@router.get("/reports")
def list_reports(
    session: SessionDep,
    _caller: SubmitterDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[GridReportView]:
    """List what the grid side asked to be told, the latest first; kept for 90 days."""
    return [GridReportView.model_validate(row) for row in recent_reports(session, limit)]
