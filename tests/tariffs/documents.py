"""Documents of the Utility Rate Database, small enough to reckon with by hand."""

from __future__ import annotations

from typing import Any

from scheduler.specs.tariff import TariffSpec

MONTHS, HOURS = 12, 24


def schedule(peak: range = range(0), *, base: int = 0, inside: int = 1) -> list[list[int]]:
    """Period ``inside`` in the hours of ``peak`` of every month, ``base`` in all others."""
    day = [inside if hour in peak else base for hour in range(HOURS)]
    return [list(day) for _ in range(MONTHS)]


def document(**changes: Any) -> dict[str, Any]:
    """10 ct/kWh at any time, nothing else; as the database's API writes it."""
    plain = {
        "label": "539f6b25ec4f024411ec98c9",
        "utility": "Example Power",
        "name": "GS-1",
        "uri": "https://example.org/rate",
        "approved": True,
        "startdate": 1577836800,  # 2020-01-01
        "sector": "Industrial",
        "energyratestructure": [[{"rate": 0.10, "unit": "kWh"}]],
        "energyweekdayschedule": schedule(),
        "energyweekendschedule": schedule(),
    }
    return plain | changes


def time_of_use(**changes: Any) -> dict[str, Any]:
    """8 ct/kWh; 20 ct from 12 to 18 on weekdays."""
    periods = {
        "energyratestructure": [[{"rate": 0.08}], [{"rate": 0.15, "adj": 0.05, "sell": 0.04}]],
        "energyweekdayschedule": schedule(range(12, 18)),
    }
    return document(**(periods | changes))


def demand(**changes: Any) -> dict[str, Any]:
    """10 ct/kWh; 12 per kW of the month's highest, 5 more of the highest from 12 to 18."""
    charges = {
        "flatdemandstructure": [[{"rate": 12.0}]],
        "flatdemandmonths": [0] * MONTHS,
        "demandratestructure": [[{"rate": 0.0}], [{"rate": 4.0, "adj": 1.0}]],
        "demandweekdayschedule": schedule(range(12, 18)),
        "demandweekendschedule": schedule(),
    }
    return document(**(charges | changes))


def tariff(urdb: dict[str, Any] | None = None, **changes: Any) -> TariffSpec:
    """A site's tariff under ``urdb``, or under the plain document."""
    return TariffSpec.model_validate({"urdb": urdb or document()} | changes)
