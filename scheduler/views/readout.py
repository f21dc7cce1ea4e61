"""What the page says about one slot of a site, when a person points at its charts."""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.services.plan_document import PlanDocument
from scheduler.views.series import Array, SiteSeries
from scheduler.views.wording import digits_for, number, when

Readout = dict[str, object]


def readouts(doc: PlanDocument, series: Sequence[SiteSeries]) -> dict[str, Readout]:
    """By site: labels of the quantities, and for every slot its time and a text per quantity."""
    return {one.site.name: _readout(doc, one) for one in series}


def _readout(doc: PlanDocument, series: SiteSeries) -> Readout:
    quantities = _quantities(series)
    zone = doc.fleet.site(series.site.name).time_zone
    instants = [when(doc.window.instant(slot), zone) for slot in range(doc.window.n_slots)]
    return {
        "labels": [label for label, _, _ in quantities],
        "local": [instant.local for instant in instants],
        "utc": [instant.utc for instant in instants],
        "rows": [
            [f"{_text(values[slot])} {unit}" for _, unit, values in quantities]
            for slot in range(doc.window.n_slots)
        ],
    }


def _quantities(series: SiteSeries) -> list[tuple[str, str, Array]]:
    flows: list[tuple[str, str, Array]] = [
        ("Grid import", "kW", series.import_kw),
        ("Grid export", "kW", series.export_kw),
        ("Solar and wind", "kW", series.renewable_kw),
        ("Battery charge", "kW", series.charge_kw),
        ("Battery discharge", "kW", series.discharge_kw),
        ("Generator", "kW", series.generator_kw),
        ("Shortfall", "kW", series.shortfall_kw),
        ("Battery holds", "kWh", series.soc_kwh),
    ]
    return [
        ("Load", "kW", series.load_kw),
        *(flow for flow in flows if flow[2].any()),
        ("Price", "EUR/MWh", series.price_eur_per_mwh),
        ("Carbon", "g/kWh", series.carbon_g_per_kwh),
        *(
            (f"GPUs, {pool.pool}", f"of {pool.available.max():g}", pool.used)
            for pool in series.pools
        ),
    ]


def _text(value: float) -> str:
    return number(value, min(1, digits_for(value))) if value % 1 else number(value)
