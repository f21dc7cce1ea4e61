"""What the clusters of the sites draw: measured, or modelled and marked so."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from connectors.types import PowerScope, Window
from scheduler.api.auth import SubmitterDep
from scheduler.api.context import SessionDep
from scheduler.api.views import View
from scheduler.services import power
from scheduler.services.errors import Invalid, Refusal
from scheduler.services.power import Energy
from scheduler.specs.base import Instant

router = APIRouter(prefix="/v1/power", tags=["power"])

_LONGEST_LIST = timedelta(days=7)
_LONGEST_SUM = timedelta(days=366)

SiteParam = Annotated[str, Query(description="Name of a site.")]


class PowerReadingView(View):
    """What the GPUs of one site drew at one minute."""

    site: str
    at: datetime
    kw: float
    is_measured: bool = Field(description="False: modelled from GPUs at work and their caps.")
    source: str = Field(description="Who measured it; empty where it is modelled.")
    scope: PowerScope = Field(description="`nodes`: whole servers, more than their GPUs.")
    reason: str = Field(description="Why it is modelled.")
    plan_id: UUID | None
    planned_kw: float | None = Field(
        description="IT load the plan wanted in that slot, before PUE. None: no plan governed."
    )


class GapView(View):
    """A span of which nothing is known."""

    start: datetime
    end: datetime


class EnergyView(View):
    """Energy over [start, end); what no reading covers is in `gaps` and in no figure."""

    site: str
    start: datetime
    end: datetime
    kwh: float
    covered_share: float = Field(description="Of the time, 0 to 1.")
    measured_share: float | None = Field(description="Of `kwh`, 0 to 1; the rest is modelled.")
    compared_kwh: float = Field(description="Drawn while a plan governed.")
    planned_kwh: float = Field(description="What it wanted meanwhile.")
    sources: list[str]
    gaps: list[GapView]


@router.get("")
def last_power(session: SessionDep, _caller: SubmitterDep) -> list[PowerReadingView]:
    """Show the last reading of every site; `at` says how old it is."""
    return [PowerReadingView.model_validate(row) for row in power.last_readings(session)]


@router.get("/readings")
def list_power_readings(
    session: SessionDep, _caller: SubmitterDep, site: SiteParam, start: Instant, end: Instant
) -> list[PowerReadingView]:
    """List the readings of a site in [start, end), one a minute; of seven days at most.

    A minute that is not there was not read.
    """
    window = _window(start, end, _LONGEST_LIST)
    return [PowerReadingView.model_validate(row) for row in power.readings(session, site, window)]


@router.get("/energy")
def energy_drawn(
    session: SessionDep, _caller: SubmitterDep, site: SiteParam, start: Instant, end: Instant
) -> EnergyView:
    """Show what a site drew in [start, end) [kWh], how much of it was measured, and the gaps."""
    power.require_known(session, site)
    return _energy_view(power.energy(session, site, _window(start, end, _LONGEST_SUM)))


def _window(start: datetime, end: datetime, longest: timedelta) -> Window:
    if not start < end <= start + longest:
        limit = f"after {start.isoformat()} by at most {longest.days} days"
        raise Invalid(Refusal("query", "end", end.isoformat(), limit))
    return Window(start, end)


def _energy_view(found: Energy) -> EnergyView:
    return EnergyView(
        site=found.site,
        start=found.window.start,
        end=found.window.end,
        kwh=found.kwh,
        covered_share=found.covered_share,
        measured_share=found.measured_share,
        compared_kwh=found.compared_kwh,
        planned_kwh=found.planned_kwh,
        sources=list(found.sources),
        gaps=[GapView.model_validate(gap) for gap in found.gaps],
    )
