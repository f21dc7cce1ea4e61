"""The monthly page of the ledger."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from scheduler.api.context import NowDep, SessionDep
from scheduler.api.pages import PersonDep
from scheduler.ledger.reports import Spread
from scheduler.services import ledger_report, ledger_store
from scheduler.views import LedgerMonth, ledger_page

router = APIRouter(prefix="/ledger", include_in_schema=False, default_response_class=HTMLResponse)


@router.get("")
def show_month(
    session: SessionDep,
    _person: PersonDep,
    now: NowDep,
    month: Annotated[str | None, Query(max_length=7)] = None,
    site: Annotated[str | None, Query(max_length=120)] = None,
) -> str:
    """Show a month of one site or of all: whose it was, and plans beside what really was."""
    asked = month or f"{now:%Y-%m}"
    window = ledger_report.month_window(session, asked, site)
    shown = LedgerMonth(
        month=asked,
        site=site,
        sites=tuple(ledger_store.sites_in(session)),
        months=ledger_report.months_around(asked),
        found=ledger_report.charged(session, window, Spread.GPU_HOURS, site),
        days=ledger_report.beside(session, window, site),
        intensity=", ".join(ledger_report.intensities(session, window, site)),
    )
    address = f"/v1/ledger/chargeback?month={asked}" + (f"&site={site}" if site else "")
    links = {"All plans": "/", "Grid events": "/grid-events", "Chargeback (JSON)": address}
    return ledger_page(shown, links | {"Chargeback (CSV)": f"{address}&format=csv"})
