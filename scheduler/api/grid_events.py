"""Grid events: calls from the grid side to import no more than so much for a while."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response, status
from pydantic import Field

from connectors.types import GridEventKind, GridEventNotice
from scheduler.api.auth import OperatorDep, SubmitterDep
from scheduler.api.context import NowDep, PageDep, SessionDep
from scheduler.api.views import Body, PageView, SiteQuery, View, page_view, seen_before
from scheduler.services import events
from scheduler.services.errors import Invalid, Refusal
from scheduler.services.events import EventFilter
from scheduler.specs.base import Instant, Minutes, Name, NonNegative
from scheduler.specs.grid_event import Priority, notice_of

router = APIRouter(prefix="/v1/grid-events", tags=["grid events"])


class GridEventBody(Body):
    """Import at most ``limit_kw`` at ``site`` in [start_at, end_at)."""

    external_id: Annotated[Name, Field(description="The number the grid side gave it.")]
    site: Name
    start_at: Instant
    end_at: Instant
    limit_kw: NonNegative
    breach_eur_per_kwh: NonNegative
    kind: GridEventKind = GridEventKind.LIMIT
    issued_at: Annotated[Instant | None, Field(description="When its sender said it last.")] = None
    ramp_minutes: Annotated[
        Minutes, Field(description="How long the site may take to come down to the limit.")
    ] = 0.0
    priority: Priority = None
    payment_eur_per_kwh: Annotated[
        NonNegative, Field(description="What each kWh that is not drawn is paid.")
    ] = 0.0
    rebound_kw: Annotated[
        NonNegative | None,
        Field(description="Import at most directly after it; None: as the terms of calls say."),
    ] = None
    rebound_minutes: Minutes = 0.0
    rebound_eur_per_kwh: NonNegative = 0.0


class GridEventView(View):
    """An event as it was taken in."""

    external_id: str
    site: str
    start_at: datetime
    end_at: datetime
    limit_kw: float
    breach_eur_per_kwh: float
    kind: GridEventKind
    issued_at: datetime | None
    ramp_minutes: float
    priority: int | None
    payment_eur_per_kwh: float
    rebound_kw: float | None
    rebound_minutes: float
    rebound_eur_per_kwh: float
    received_at: datetime
    received_from: str
    cancelled_at: datetime | None


@router.post("", status_code=status.HTTP_201_CREATED, responses=seen_before(GridEventView))
def create_grid_event(
    body: GridEventBody, session: SessionDep, caller: OperatorDep, now: NowDep, response: Response
) -> GridEventView:
    """Take in an event. The same event again, by its `external_id`, is the same one (200).

    The next plan honours it, or names by how much it cannot. Under the number of an event with
    other values, or of one that was called off, it is a conflict (409): update that one.
    """
    event, created = events.create_event(session, _notice(body), caller.name, now)
    if not created:
        response.status_code = status.HTTP_200_OK
    response.headers["Location"] = f"{router.prefix}/{event.external_id}"
    return GridEventView.model_validate(event)


@router.get("")
def list_grid_events(
    session: SessionDep,
    _caller: SubmitterDep,
    page: PageDep,
    site: SiteQuery = None,
    ends_after: Annotated[Instant | None, Query(description="Leave out what is over.")] = None,
    with_cancelled: bool = True,
) -> PageView[GridEventView]:
    """List events, the one that starts last first."""
    wanted = EventFilter(site, ends_after, with_cancelled)
    return page_view(events.list_events(session, wanted, page), GridEventView.model_validate)


@router.get("/{external_id}")
def get_grid_event(external_id: str, session: SessionDep, _caller: SubmitterDep) -> GridEventView:
    """Show one event."""
    return GridEventView.model_validate(events.get_event(session, external_id))


@router.put("/{external_id}")
def update_grid_event(
    external_id: str, body: GridEventBody, session: SessionDep, _caller: OperatorDep, now: NowDep
) -> GridEventView:
    """Change an event, or have one hold again that was called off. The next plan honours it."""
    event = events.update_event(session, external_id, _notice(body), now)
    return GridEventView.model_validate(event)


@router.post("/{external_id}/cancel")
def cancel_grid_event(
    external_id: str, session: SessionDep, _caller: OperatorDep, now: NowDep
) -> GridEventView:
    """Call an event off. The next plan no longer honours it."""
    return GridEventView.model_validate(events.cancel_event(session, external_id, now))


def _notice(body: GridEventBody) -> GridEventNotice:
    if body.end_at <= body.start_at:
        limit = f"after start_at = {body.start_at.isoformat()}"
        owner = f"grid event {body.external_id}"
        raise Invalid(Refusal(owner, "end_at", body.end_at.isoformat(), limit))
    return notice_of(body)
