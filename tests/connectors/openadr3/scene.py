"""A VEN of two sites at noon, and what is said of it and to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from connectors.http import HttpPolicy
from connectors.vpp.openadr3.client import POLICY, Credentials, Version, Vtn
from connectors.vpp.openadr3.ven import OpenAdrVen, SiteTerms, VenTerms
from tests.connectors.openadr3.vtn import SECRET, TestVtn

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TERMS = VenTerms("gridtide", (SiteTerms("north", "N1", 100.0), SiteTerms("south", "S1", 80.0)))
TWO_HOURS = {"intervalPeriod": {"start": "2026-06-15T13:00:00Z", "duration": "PT1H"}}
SAID_AT = NOON - 2 * HOUR  # as the VTN says of all it has
HASTY = replace(POLICY, attempts=1, answer_s=5.0)


def later(hours: int) -> dict[str, object]:
    """Return an hour that begins so many hours after noon."""
    start = (NOON + hours * HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"intervalPeriod": {"start": start, "duration": "PT1H"}}


def ven_at(
    vtn: TestVtn, secret: str = SECRET, policy: HttpPolicy = HASTY, terms: VenTerms = TERMS
) -> OpenAdrVen:
    """Return a VEN that asks once."""
    asked = Vtn(vtn.base, Version(vtn.version), Credentials("us", secret), policy)
    return OpenAdrVen(asked, terms, lambda: NOON)


def limits(notices: object) -> list[tuple[str, float, float, float]]:
    """Return site, start and end in hours from noon, and limit of each."""
    return [
        (it.site, (it.window.start - NOON) / HOUR, (it.window.end - NOON) / HOUR, it.limit_kw)
        for it in notices  # type: ignore[attr-defined]
    ]
