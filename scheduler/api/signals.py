"""Signals: upload as JSON, CSV or Parquet, the latest known values, and how far they reach."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import pandas as pd
from fastapi import APIRouter, Body, Query, status
from pydantic import Field

from connectors.errors import ContractBroken
from connectors.types import SignalKind, Window
from scheduler.api.auth import OperatorDep, SubmitterDep
from scheduler.api.context import ApiContext, ContextDep, NowDep, SessionDep
from scheduler.api.views import Body as JsonBody
from scheduler.api.views import View
from scheduler.services import coverage, signals
from scheduler.services.errors import Invalid, Refusal
from scheduler.services.signals import SignalPoint, points_of
from scheduler.specs.base import Instant, Name, Text

CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
_SUFFIXES = {CSV: ".csv", PARQUET: ".parquet"}
MOST_ROWS = 250_000  # of one upload: a year of seven series by the quarter of an hour

router = APIRouter(prefix="/v1/signals", tags=["signals"])

_Source = Annotated[Text, Field(min_length=1, max_length=200, description="Where it comes from.")]
_FileSource = Annotated[str, Query(min_length=1, max_length=200)]
_KnownAt = Annotated[
    Instant | None, Field(description="Since when it is known; none: since now. Not in the future.")
]


class SignalValueBody(JsonBody):
    """One value for [start_at, start_at + minutes), in the unit of its kind."""

    site: Name
    kind: SignalKind
    start_at: Instant
    minutes: int = 60
    value: float


class SignalsBody(JsonBody):
    """Values of any sites and kinds."""

    source: _Source
    known_at: _KnownAt = None
    values: Annotated[tuple[SignalValueBody, ...], Field(min_length=1, max_length=100_000)]


class StoredView(View):
    """What became of an upload."""

    inserted: int
    unchanged: int = Field(description="The same as what was known already.")


class SignalValueView(View):
    """One value as it was known last."""

    start_at: datetime
    minutes: int
    value: float
    known_at: datetime


class LatestView(View):
    """One signal in one window."""

    site: str
    kind: SignalKind
    unit: str = Field(description="A price is in the currency of its site.")
    values: list[SignalValueView]


class FeedView(View):
    """Where a signal is fetched from, and how that goes."""

    source: str
    zone: str
    every_minutes: int
    due_at: datetime | None = Field(description="None: nobody has looked after it yet.")
    succeeded_at: datetime | None = Field(description="When it last answered as agreed.")
    newest_at: datetime | None = Field(description="When it last told something new.")
    age_hours: float | None = Field(description="Since succeeded_at [h].")
    failures: int = Field(description="In a row, up to now.")
    failed_at: datetime | None
    error: str = Field(description="Of the last try; empty: it went well.")


class CoverageView(View):
    """How far one signal reaches and how old it is."""

    site: str
    kind: SignalKind
    is_needed: bool = Field(description="Planning needs it, or the site says it has such a plant.")
    n_intervals: int
    known_from: datetime | None
    known_until: datetime | None
    newest_known_at: datetime | None
    hours_ahead: float | None = Field(description="From now to known_until [h].")
    age_hours: float | None = Field(description="Since the newest value came in [h].")
    is_stale: bool
    feed: FeedView | None = Field(description="None: values are uploaded.")


@router.post("", status_code=status.HTTP_201_CREATED)
def upload_signals(
    body: SignalsBody, session: SessionDep, _caller: OperatorDep, now: NowDep
) -> StoredView:
    """Upload values. What tells nothing new is skipped; what was known before is kept beside it."""
    points = [
        SignalPoint(
            site=row.site,
            kind=row.kind,
            start_at=row.start_at,
            minutes=row.minutes,
            value=row.value,
            known_at=body.known_at or now,
        )
        for row in body.values
    ]
    return _store(session, points, body.source, now)


@router.post("/csv", status_code=status.HTTP_201_CREATED)
def upload_signals_csv(
    body: Annotated[str, Body(media_type=CSV)],
    session: SessionDep,
    _caller: OperatorDep,
    context: ContextDep,
    now: NowDep,
    source: _FileSource = "upload",
) -> StoredView:
    """Upload the text of a signals file, as `gridtide plan --signals` reads it.

    Columns are `site`, `kind`, `start_at` and `value`; `unit` is checked where given, `minutes` is
    inferred where not, and `known_at` is now where it is empty. No more than 250,000 rows at once.
    """
    points = points_of(_read(body.encode(), CSV, context), now)
    return _store(session, points, source, now)


@router.post("/parquet", status_code=status.HTTP_201_CREATED)
def upload_signals_parquet(
    body: Annotated[bytes, Body(media_type=PARQUET)],
    session: SessionDep,
    _caller: OperatorDep,
    context: ContextDep,
    now: NowDep,
    source: _FileSource = "upload",
) -> StoredView:
    """Upload a signals file as Parquet, with the columns and checks of the one as CSV.

    Instants are timestamps with a time zone, or texts as in CSV.
    """
    points = points_of(_read(body, PARQUET, context), now)
    return _store(session, points, source, now)


@router.get("/latest")
def latest_signal(
    *,
    site: Annotated[str, Query(description="Name of a site.")],
    kind: SignalKind,
    start: Instant,
    end: Instant,
    session: SessionDep,
    _caller: SubmitterDep,
    now: NowDep,
    known_at: Annotated[Instant | None, Query(description="As known then; none: now.")] = None,
) -> LatestView:
    """Show the values of one signal in [start, end), as known last or as known at an instant."""
    if end <= start:
        raise Invalid(Refusal("query", "end", end.isoformat(), f"after {start.isoformat()}"))
    window = Window(start, end)
    points = signals.latest_values(session, site, kind, window, known_at or now)
    values = [SignalValueView.model_validate(point) for point in points]
    return LatestView(site=site, kind=kind, unit=kind.unit, values=values)


@router.get("/coverage")
def signal_coverage(session: SessionDep, _caller: SubmitterDep, now: NowDep) -> list[CoverageView]:
    """Show how far every signal reaches and how old it is, with those that are missing."""
    return [CoverageView.model_validate(entry) for entry in coverage.coverage(session, now)]


def _read(content: bytes, media_type: str, context: ApiContext) -> pd.DataFrame:
    with TemporaryDirectory(prefix="gridtide-upload-") as folder:
        path = Path(folder) / f"upload{_SUFFIXES[media_type]}"
        path.write_bytes(content)
        try:
            return context.read_signals(path, MOST_ROWS)
        except ContractBroken as error:
            fault = str(error).replace(str(path), path.name)
            raise Invalid(Refusal("body", media_type, path.name, f"as agreed: {fault}")) from error


def _store(
    session: SessionDep, points: Sequence[SignalPoint], source: str, now: datetime
) -> StoredView:
    newest = max(point.known_at for point in points)
    if newest > now:
        limit = f"no later than now, {now.isoformat()}"
        raise Invalid(Refusal("upload", "known_at", newest.isoformat(), limit))
    return StoredView.model_validate(signals.insert_values(session, points, source, now))
