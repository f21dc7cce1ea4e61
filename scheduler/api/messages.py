"""Streams over HTTP: batches pushed, what became of them, and how every stream stands."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field
from pydantic_core import from_json, to_json

from connectors.types import StreamMessage, Window
from scheduler.api.auth import OperatorDep, SenderDep, SubmitterDep
from scheduler.api.context import ContextDep, NowDep, PageDep, SessionDep
from scheduler.api.views import PageView, SiteQuery, View, page_view
from scheduler.db.models import TelemetryValue
from scheduler.services import stream_states, telemetry
from scheduler.services.errors import Invalid, Refusal
from scheduler.services.ingestion import MOST_AT_ONCE
from scheduler.services.ingestion_store import Taken
from scheduler.specs.base import Instant
from scheduler.specs.message import TelemetrySeries

router = APIRouter(prefix="/v1", tags=["streams"])

HTTP_STREAM = "http"
NDJSON = "application/x-ndjson"
_LONGEST_LIST = timedelta(days=31)
_HOUR = timedelta(hours=1)
_MOST_REASONS = 20
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"A JSON array, or one message a line with content type `{NDJSON}`.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "array",
                    "maxItems": MOST_AT_ONCE,
                    "items": {"$ref": "#/components/schemas/Message"},
                }
            },
        },
    }
}


class RefusedMessageView(View):
    """A message that cannot be used; it is kept as a dead letter."""

    index: int = Field(description="Its place in the batch, from 0.")
    reason: str


class TakenView(View):
    """What became of a batch. The four numbers add up to it."""

    stored: int
    unchanged: int = Field(description="Told nothing that was not known.")
    duplicates: int = Field(description="Had come before.")
    dead_letters: int = Field(description="Cannot be used; sending them again changes nothing.")
    reasons: list[RefusedMessageView] = Field(description=f"The first {_MOST_REASONS} of them.")


class StreamView(View):
    """How one way in stands, and what came by it since ever."""

    stream: str
    stored: int
    unchanged: int
    duplicates: int
    dead_letters: int
    received_at: datetime | None = Field(description="The last message.")
    delay_s: float | None = Field(
        description="From sending to storing, the longest of the last batch, by both clocks [s]."
    )
    backlog: int | None = Field(description="Messages that wait at the broker; none: not told.")
    problem: str = Field(description="Why nothing comes; empty where nothing stands against it.")
    seen_at: datetime


class DeadLetterView(View):
    """A message that could not be used, and why."""

    id: UUID
    stream: str
    subject: str = Field(description="The topic it came under, or the name of the API key.")
    received_at: datetime
    reason: str
    body: str = Field(description="Its beginning.")


class ReadingView(View):
    """One reading, in the unit of its series."""

    site: str
    series: TelemetrySeries
    device: str = Field(description="Empty: the site has one of these.")
    at: datetime
    value: float
    unit: str
    source: str
    received_at: datetime


class ReadingsView(View):
    """A range of one device's readings."""

    readings: list[ReadingView]
    next_start: datetime | None = Field(description="Ask again from here; none: that is all.")


async def _body(request: Request) -> bytes:
    return await request.body()


@router.post("/messages", openapi_extra=_BODY)
def push_messages(
    body: Annotated[bytes, Depends(_body)],
    request: Request,
    context: ContextDep,
    caller: SenderDep,
) -> TakenView:
    """Push readings and signal values. What is answered with 200 is stored for good.

    Send a batch again where no answer came: what was stored is known again. A message that cannot
    be used is kept with the reason, and stands in the way of no other.
    """
    is_lines = request.headers.get("content-type", "").split(";")[0].strip() == NDJSON
    bodies = _lines_of(body) if is_lines else _items_of(body)
    if not 0 < len(bodies) <= MOST_AT_ONCE:
        raise Invalid(Refusal("batch", "messages", len(bodies), f"1 to {MOST_AT_ONCE}"))
    messages = [StreamMessage(caller.name, one, (), caller.sites) for one in bodies]
    return _view(context.intake.take(HTTP_STREAM, messages))


@router.get("/streams")
def list_streams(session: SessionDep, _caller: SubmitterDep) -> list[StreamView]:
    """Show how every way in stands: brokers that are listened to, and `http`."""
    return [StreamView.model_validate(one) for one in stream_states.stream_states(session)]


@router.get("/dead-letters")
def list_dead_letters(
    session: SessionDep,
    _caller: OperatorDep,
    page: PageDep,
    stream: Annotated[str | None, Query(description="Name of a stream.")] = None,
) -> PageView[DeadLetterView]:
    """List messages that could not be used, newest first. The newest ones are kept."""
    found = telemetry.dead_letters(session, stream, page)
    return page_view(found, DeadLetterView.model_validate)


@router.get("/telemetry")
def last_telemetry(
    session: SessionDep, _caller: SubmitterDep, now: NowDep, site: SiteQuery = None
) -> list[ReadingView]:
    """Show the last reading of every device that told something in the last hour."""
    return [_reading(row) for row in telemetry.last_readings(session, now - _HOUR, site)]


@router.get("/telemetry/readings")
def list_telemetry(
    *,
    session: SessionDep,
    _caller: SubmitterDep,
    site: Annotated[str, Query(description="Name of a site.")],
    series: TelemetrySeries,
    device: Annotated[str, Query(description="Empty: what the site has one of.")] = "",
    start: Instant,
    end: Instant,
) -> ReadingsView:
    """List the readings of one device in [start, end), of 31 days at most, in order of time."""
    if not start < end <= start + _LONGEST_LIST:
        limit = f"after {start.isoformat()} by at most {_LONGEST_LIST.days} days"
        raise Invalid(Refusal("query", "end", end.isoformat(), limit))
    found = telemetry.readings(session, site, series, device, Window(start, end))
    is_cut = len(found) > telemetry.MOST_READINGS
    shown = found[: telemetry.MOST_READINGS]
    next_start = found[-1].at if is_cut else None
    return ReadingsView(readings=[_reading(row) for row in shown], next_start=next_start)


def _lines_of(body: bytes) -> list[bytes]:
    return [line for line in body.split(b"\n") if line.strip()]


def _items_of(body: bytes) -> list[bytes]:
    try:
        items = from_json(body)
    except ValueError as error:
        limit = f"a JSON array, or lines sent as {NDJSON} ({error})"
        raise Invalid(Refusal("body", "application/json", _beginning(body), limit)) from error
    if not isinstance(items, list):
        limit = f"a JSON array, or lines sent as {NDJSON}"
        raise Invalid(Refusal("body", "application/json", _beginning(body), limit))
    return [to_json(item) for item in items]


def _beginning(body: bytes) -> str:
    return body[:40].decode("utf-8", "replace")


def _view(taken: Taken) -> TakenView:
    reasons = taken.dead_letters[:_MOST_REASONS]
    return TakenView(
        stored=taken.stored,
        unchanged=taken.unchanged,
        duplicates=taken.duplicates,
        dead_letters=len(taken.dead_letters),
        reasons=[RefusedMessageView.model_validate(one) for one in reasons],
    )


def _reading(row: TelemetryValue) -> ReadingView:
    return ReadingView(
        site=row.site,
        series=row.series,
        device=row.device,
        at=row.at,
        value=row.value,
        unit=row.series.unit,
        source=row.source,
        received_at=row.received_at,
    )
