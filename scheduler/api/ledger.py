"""The ledger: entries, sums by whom, chargeback, carbon per unit, and plan beside reality."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from io import StringIO
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from connectors.types import Window
from scheduler.api.auth import SubmitterDep
from scheduler.api.context import SessionDep
from scheduler.api.tables import FormatDep, TableFormat
from scheduler.api.views import SiteQuery, View
from scheduler.db.models import LedgerEntry
from scheduler.ledger.reports import Chargeback, Charged, Spread, Sums, carbon_intensity
from scheduler.services import ledger_report
from scheduler.services.errors import Invalid, Refusal
from scheduler.services.ledger_report import By, Which
from scheduler.services.ledger_store import columns_of
from scheduler.specs.base import Instant

router = APIRouter(prefix="/v1/ledger", tags=["ledger"])

BOUNDARY = (
    "E: energy at the meter of jobs' GPUs or servers, as measured or modelled, times PUE, with what"
    " is laid on them of idle GPUs, base load and what is unexplained; batteries' losses fall on"
    " what is drawn while they charge. I: location-based average of what is bought, generators by"
    " their own emissions, on-site renewables at zero; no certificates. M: by pool, as the fleet"
    " states it, of GPUs and their servers alone; left out where it is not stated of every"
    " GPU-hour. Not in it: networks, storage of data, making buildings and cooling plants, devices"
    " of users."
)


MonthQuery = Annotated[
    str, Query(max_length=7, description="As 2026-11; by the site's clock, of all sites by UTC.")
]
TenantQuery = Annotated[str | None, Query(max_length=120, description="Name of a tenant.")]
SpreadQuery = Annotated[
    Spread, Query(description="By what the sites' own energy and cost is laid on tenants.")
]


class SumsView(View):
    """Sums of shares; None: nobody tells it."""

    kwh: float = Field(description="At the meter, with PUE.")
    measured_kwh: float = Field(description="Of it, measured or shared out of a measured whole.")
    it_kwh: float
    gpu_hours: float
    eur: float
    carbon_kg: float = Field(description="By the location-based average intensity.")
    marginal_kg: float | None = Field(description="By the marginal intensity, of marginal_kwh.")
    marginal_kwh: float
    embodied_kg: float | None = Field(description="Of making GPUs, of embodied_gpu_hours.")
    embodied_gpu_hours: float
    tokens: float | None
    tokens_kwh: float = Field(description="Used by jobs that tell their tokens.")


class DayView(View):
    """Plan and reality of a day, in slots that a plan held for."""

    day: str
    slots: int
    planned_slots: int
    expected: dict[str, float]
    real: dict[str, float]
    off_price_eur_per_mwh: float = Field(description="Mean absolute error of the forecast.")
    off_carbon_g_per_kwh: float = Field(description="Mean absolute error of the forecast.")
    off_bought_kwh: float = Field(description="Mean absolute difference by slot.")


@router.get("/entries", response_model=None)
def list_entries(
    session: SessionDep,
    _caller: SubmitterDep,
    form: FormatDep,
    start: Annotated[Instant, Query()],
    end: Annotated[Instant, Query()],
    site: SiteQuery = None,
    with_corrected: Annotated[bool, Query(description="Those that were corrected, too.")] = False,
) -> Response:
    """List entries of slots that begin in [start, end), with the hash of each."""
    window = _window(start, end)
    ledger_report.require_ledger(session, site)
    found = ledger_report.entries(session, window, site, with_corrected=with_corrected)
    return _answer([_entry(entry) for entry in found], form)


@router.get("/totals", response_model=None)
def total_by(
    session: SessionDep,
    _caller: SubmitterDep,
    form: FormatDep,
    start: Annotated[Instant, Query()],
    end: Annotated[Instant, Query()],
    by: Annotated[By, Query(description="Of what a row is.")] = By.TENANT,
    site: SiteQuery = None,
    tenant: TenantQuery = None,
    project: Annotated[str | None, Query(max_length=120)] = None,
    job: Annotated[str | None, Query(max_length=120)] = None,
) -> Response:
    """Sum what jobs and sites have of the slots that begin in [start, end)."""
    which = Which(_window(start, end), site, tenant, project, job)
    ledger_report.require_ledger(session, site)
    rows = ledger_report.sums_by(session, which, by)
    return _answer([{by.value: key} | _sums(sums) for key, sums in rows], form)


def _charged_in(
    session: SessionDep,
    _caller: SubmitterDep,
    month: MonthQuery,
    site: SiteQuery = None,
    tenant: TenantQuery = None,
    spread: SpreadQuery = Spread.GPU_HOURS,
) -> Chargeback:
    window = ledger_report.month_window(session, month, site)
    ledger_report.require_ledger(session, site)
    return ledger_report.charged(session, window, spread, site, tenant)


ChargedDep = Annotated[Chargeback, Depends(_charged_in, scope="function")]


@router.get("/chargeback", response_model=None)
def charge_back(found: ChargedDep, form: FormatDep, tenant: TenantQuery = None) -> Response:
    """Tell what every tenant and project is charged for a month.

    The row without a tenant is what is laid on nobody. All rows add up to what the sites came to.
    """
    rows = [_charged(row) for row in found.rows]
    if tenant is None:
        left = _sums(found.left)
        rows.append({"tenant": "", "project": ""} | _with_parts(Sums(), found.left) | left)
    return _answer(rows, form)


@router.get("/sci", response_model=None)
def carbon_per_unit(found: ChargedDep, form: FormatDep) -> Response:
    """Tell the software carbon intensity (ISO/IEC 21031:2024) of a month, by tenant and project.

    Per GPU-hour, and per million tokens where jobs tell those; the boundary is in every row.
    """
    rows = [
        {"tenant": row.tenant, "project": row.project}
        | asdict(carbon_intensity(row.used, row.laid_on))
        | {"boundary": BOUNDARY}
        for row in found.rows
    ]
    return _answer(rows, form)


@router.get("/plans-beside-reality")
def plans_beside_reality(
    session: SessionDep, _caller: SubmitterDep, month: MonthQuery, site: SiteQuery = None
) -> list[DayView]:
    """Set what plans and forecasts let expect beside what really was, day by day of a month."""
    window = ledger_report.month_window(session, month, site)
    ledger_report.require_ledger(session, site)
    found = ledger_report.beside(session, window, site)
    return [DayView.model_validate(day) for day in found]


def _window(start: Instant, end: Instant) -> Window:
    if end <= start:
        raise Invalid(
            Refusal("ledger", "end", end.isoformat(), f"after start = {start.isoformat()}")
        )
    window = Window(start, end)
    ledger_report.require_window(window)
    return window


def _entry(entry: LedgerEntry) -> dict[str, Any]:
    values = columns_of(entry)
    del values["id"]
    start = entry.start_at.isoformat().replace("+00:00", "Z")
    reckoned = entry.reckoned_at.isoformat().replace("+00:00", "Z")
    return values | {"start_at": start, "reckoned_at": reckoned}


def _charged(row: Charged) -> dict[str, Any]:
    who = {"tenant": row.tenant, "project": row.project}
    return who | _with_parts(row.used, row.laid_on) | _sums(row.total)


def _with_parts(used: Sums, laid_on: Sums) -> dict[str, float]:
    return {
        "used_kwh": used.kwh,
        "laid_on_kwh": laid_on.kwh,
        "used_eur": used.eur,
        "laid_on_eur": laid_on.eur,
    }


def _sums(sums: Sums) -> dict[str, Any]:
    return SumsView.model_validate(sums).model_dump()


def _answer(rows: Sequence[Mapping[str, Any]], form: TableFormat) -> Response:
    if form is TableFormat.JSON:
        return JSONResponse([dict(row) for row in rows])
    return Response(_csv(rows), media_type="text/csv")


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write rows as CSV; lists are joined, and what a plan let expect has columns of its own."""
    flat = [_flat(row) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    page = StringIO()
    writer = csv.DictWriter(page, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return page.getvalue()


def _flat(row: Mapping[str, Any], of: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{of}{name}_")
        else:
            flat[of + name] = " ".join(map(str, value)) if isinstance(value, list) else value
    return flat
