"""The page of a month of the ledger: who used what, and plans beside what really was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.ledger.reports import Chargeback, carbon_intensity
from scheduler.views.page import render_page


@dataclass(frozen=True, slots=True)
class LedgerMonth:
    """A month of one site, or of all.

    Attributes
    ----------
    months
        Months there are links to, e.g. the one before and the one after.
    days
        Plans beside reality: has ``day``, ``slots``, ``planned_slots``, ``expected``, ``real``.
    intensity
        Which carbon intensity the figures are by.
    """

    month: str
    site: str | None
    sites: tuple[str, ...]
    months: tuple[str, ...]
    found: Chargeback
    days: Sequence[Any]
    intensity: str


def ledger_page(shown: LedgerMonth, links: Mapping[str, str]) -> str:
    """Draw a month of the ledger."""
    total = shown.found.total
    measured = total.measured_kwh / total.kwh if total.kwh > 0.0 else None
    where = shown.site or "all sites"
    return render_page(
        "ledger.html",
        title=f"Ledger {shown.month}, {where}",
        shown=shown,
        total=total,
        measured=measured,
        per_unit=carbon_intensity(shown.found.used, shown.found.own),
        links=links,
    )
