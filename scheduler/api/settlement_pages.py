"""The pages of grid events and of what they came to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from scheduler.api.context import NowDep, SessionDep
from scheduler.api.pages import PersonDep
from scheduler.services import event_settlement, events
from scheduler.services.events import EventFilter
from scheduler.services.grid_reports import recent_reports
from scheduler.services.paging import PageRequest
from scheduler.views import EventRow, events_page, settlement_page

router = APIRouter(
    prefix="/grid-events", include_in_schema=False, default_response_class=HTMLResponse
)

_EVENTS_SHOWN = 100
_REPORTS_SHOWN = 50


@router.get("")
def show_events(session: SessionDep, _person: PersonDep, now: NowDep) -> str:
    """List the events that start last, how each stands, and what was reported of late."""
    shown = events.list_events(session, EventFilter(), PageRequest(_EVENTS_SHOWN)).items
    standing = event_settlement.standings(session, shown, now)
    rows = [
        EventRow(event, f"/grid-events/{event.external_id}" if one.is_settled else None, one.words)
        for event, one in zip(shown, standing, strict=True)
    ]
    reports = recent_reports(session, _REPORTS_SHOWN)
    return events_page(rows, reports, {"All plans": "/", "API docs": "/docs"})


@router.get("/{external_id}")
def show_settlement(
    external_id: str,
    session: SessionDep,
    _person: PersonDep,
    now: NowDep,
    revision: Annotated[int | None, Query(ge=0, le=1_000_000)] = None,
) -> str:
    """Show what one event came to, as it was settled last or at first."""
    stored, report = event_settlement.read_report(session, external_id, now, revision)
    settled = event_settlement.read_settlements(session, external_id)
    history = [(one.revision, one.settled_at) for one in settled]
    address = f"/v1/grid-events/{external_id}/settlement"
    links = {"Grid events": "/grid-events", "Settlement (JSON)": address}
    return settlement_page(report, history, stored.revision, links)
