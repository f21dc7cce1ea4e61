"""A plan as tables, text and pictures, which the API docs show in place."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import pandas as pd
from fastapi import APIRouter, Depends, Response
from fastapi.responses import PlainTextResponse
from pydantic import Field

from connectors.types import SignalKind
from scheduler.api.auth import SubmitterDep
from scheduler.api.context import SessionDep
from scheduler.api.tables import FormatDep, TableFormat
from scheduler.api.views import View
from scheduler.services import plans
from scheduler.services.plan_document import PlanDocument
from scheduler.views import chart, energy_table, job_table, price_table, summary_text

router = APIRouter(prefix="/v1/plans/{plan_id}", tags=["plans"])


def _document(plan_id: UUID, session: SessionDep, _caller: SubmitterDep) -> PlanDocument:
    return plans.read_document(session, plan_id)


class PlanInputView(View):
    """Of how many slots of one signal the values came from where; the first four make up all."""

    site: str
    kind: SignalKind
    published_slots: int
    forecast_slots: int = Field(description="From forecasts of our own.")
    filled_slots: int = Field(description="Copied from the same time of an earlier day.")
    missing_slots: int = Field(description="A constant, or what follows from another signal.")
    flagged_slots: int = Field(description="Of these, from suspicious values, undecided then.")
    age_hours: float | None = Field(description="Of the newest value when the plan was made [h].")
    is_stale: bool
    sources: list[str]


class KeptEarlyView(View):
    """A job that does not wait, because what waiting gains is within its error."""

    job: str
    later_slot: int = Field(description="When it would have started, by slot of the window.")
    later_site: str
    gain_eur: float = Field(description="What waiting was expected to gain.")
    error_eur: float = Field(description="Standard error of that; 0: a tie.")


class OutlookView(View):
    """What the plan comes to in the futures it was made for, as objective [EUR]."""

    expected_eur: float
    spread_eur: float = Field(description="Standard deviation over the futures.")
    cvar_eur: float = Field(description="Mean of the dearest 1 - cvar_alpha of them.")
    cvar_alpha: float
    cvar_weight: float = Field(description="Its weight against the mean in what was minimised.")
    minimised_eur: float
    bound_eur: float | None = Field(description="Proven lower bound of that.")
    gap: float | None
    scenario_eur: list[float]
    probability: list[float]
    first_slots: int = Field(description="Jobs that begin before it are the same in all futures.")


class DoubtView(View):
    """How far the forecasts were trusted; `outlook` is null for a plan of the forecast alone."""

    outlook: OutlookView | None
    kept_early: list[KeptEarlyView]


DocumentDep = Annotated[PlanDocument, Depends(_document, scope="function")]

_ROWS = {"type": "array", "items": {"type": "object", "additionalProperties": True}}
_TABLE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The rows; every column names its unit.",
        "content": {
            "application/json": {"schema": _ROWS},
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}


def _image(media_type: str) -> dict[int | str, dict[str, Any]]:
    schema = {"type": "string", "format": "binary"}
    return {200: {"description": "The picture.", "content": {media_type: {"schema": schema}}}}


@router.get("/energy", response_class=Response, responses=_TABLE)
def plan_energy(document: DocumentDep, format_: FormatDep) -> Response:
    """Show flows, prices, intensity and state of charge, one row per site and slot."""
    return _table(energy_table(document), format_)


@router.get("/jobs", response_class=Response, responses=_TABLE)
def plan_jobs(document: DocumentDep, format_: FormatDep) -> Response:
    """Show every job, one row: where and when it runs, or why it does not."""
    return _table(job_table(document), format_)


@router.get("/prices", response_class=Response, responses=_TABLE)
def plan_prices(document: DocumentDep, format_: FormatDep) -> Response:
    """Show what one more kWh and one more GPU-hour would cost and emit, by site and slot.

    `marginal_eur_per_kwh` and `marginal_carbon_g_per_kwh` are of a kWh more at the meter with the
    jobs where they are: of whatever answers it, be it import, a battery that then imports in
    another slot, sun that was not used, or a generator that runs. They hold for small loads.
    `it_eur_per_kwh` (PUE included) and `eur_per_gpu_hour_<pool>` are what jobs would give for more.
    """
    return _table(price_table(document), format_)


@router.get("/inputs")
def plan_inputs(document: DocumentDep) -> list[PlanInputView]:
    """Show what the signals the plan rests on were: published, forecast, filled, stale, flagged.

    Empty for plans that were made before this was kept; their `marks` say it in sentences.
    """
    return [PlanInputView.model_validate(one) for one in document.inputs]


@router.get("/outlook")
def plan_outlook(document: DocumentDep) -> DoubtView:
    """Show what the plan is expected to cost if forecasts err as they did, and who does not wait.

    Figures are of the decisions before jobs were kept early: each of those is expected to cost its
    `gain_eur` more.
    """
    return DoubtView.model_validate(document.plan)


@router.get("/summary", response_class=PlainTextResponse)
def plan_summary(document: DocumentDep) -> PlainTextResponse:
    """Show totals against run-now, sites, violations and stale inputs as readable text."""
    return PlainTextResponse(summary_text(document))


@router.get("/chart.svg", response_class=Response, responses=_image("image/svg+xml"))
def plan_chart_svg(document: DocumentDep) -> Response:
    """Draw the chart to be scaled or kept; the docs page shows its text, see `chart.png`."""
    return _picture(document, "svg")


@router.get("/chart.png", response_class=Response, responses=_image("image/png"))
def plan_chart_png(document: DocumentDep) -> Response:
    """Show when each job runs, power by source, prices, carbon and state of charge."""
    return _picture(document, "png")


def _table(table: pd.DataFrame, format_: TableFormat) -> Response:
    if format_ is TableFormat.CSV:
        return Response(table.to_csv(index=False), media_type="text/csv")
    # pandas writes missing values as null and instants with their offset.
    return Response(
        table.to_json(orient="records", date_format="iso", double_precision=15),
        media_type="application/json",
    )


def _picture(document: PlanDocument, kind: Literal["svg", "png"]) -> Response:
    media_type = "image/svg+xml" if kind == "svg" else "image/png"
    return Response(chart(document, kind), media_type=media_type)
