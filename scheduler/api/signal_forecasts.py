"""Forecasts that Gridtide issued itself: which there are, and how one turned out so far."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from connectors.types import SignalKind
from scheduler.api.auth import SubmitterDep
from scheduler.api.context import NowDep, PageDep, SessionDep
from scheduler.api.views import PageView, SiteQuery, View, page_view
from scheduler.db.models import SignalForecast
from scheduler.services import issued_forecasts
from scheduler.specs.base import Instant

router = APIRouter(prefix="/v1/signals/forecasts", tags=["signals"])

_Levels = Annotated[list[float], Field(description="Of its quantiles: 0.5 is the median.")]


class ForecastView(View):
    """A forecast of one signal, as it was issued."""

    site: str
    kind: SignalKind
    unit: str = Field(description="A price is in the currency of its site.")
    issued_at: datetime
    start_at: datetime
    end_at: datetime
    minutes: int = Field(description="Of each interval.")
    method: str
    asked: str = Field(description="The method the fleet asked for; a short history forbids some.")
    levels: _Levels
    notes: list[str]


class ForecastIntervalView(View):
    """One interval of a forecast."""

    start_at: datetime
    quantiles: list[float] = Field(description="In the order of `levels`.")
    published: float | None = Field(
        description="The mean of what is published of it by now; None: nothing."
    )


class WholeForecastView(ForecastView):
    """A forecast with its values."""

    intervals: list[ForecastIntervalView]


@router.get("")
def list_forecasts(
    session: SessionDep,
    _caller: SubmitterDep,
    page: PageDep,
    site: SiteQuery = None,
    kind: SignalKind | None = None,
) -> PageView[ForecastView]:
    """List the forecasts that were issued, newest first, without their values."""
    return page_view(issued_forecasts.list_issued(session, site, kind, page), _view)


@router.get("/latest")
def latest_forecast(
    *,
    site: Annotated[str, Query(description="Name of a site.")],
    kind: SignalKind,
    session: SessionDep,
    _caller: SubmitterDep,
    now: NowDep,
    known_at: Annotated[
        Instant | None, Query(description="The one issued last by then; none: by now.")
    ] = None,
) -> WholeForecastView:
    """Show a forecast as it was issued, each interval beside what is published of it by now."""
    issued = issued_forecasts.last_issued(session, site, kind, known_at or now)
    beside = issued_forecasts.beside_published(session, issued, now)
    intervals = [ForecastIntervalView.model_validate(one) for one in beside]
    return WholeForecastView(**_view(issued).model_dump(), intervals=intervals)


def _view(issued: SignalForecast) -> ForecastView:
    return ForecastView(
        site=issued.site,
        kind=issued.kind,
        unit=issued.kind.unit,
        issued_at=issued.issued_at,
        start_at=issued.start_at,
        end_at=issued.end_at,
        minutes=issued.minutes,
        method=issued.method,
        asked=issued.asked,
        levels=issued.levels,
        notes=issued.notes,
    )
