"""One slot out of a plan of many, with what it was expected to come to."""

from __future__ import annotations

import pytest

from optimizer import Generator, GridConnection, Site, SiteFlows
from scheduler.ledger.slots import expected_of


def test_the_start_of_a_generator_is_paid_once() -> None:
    """Two slots of 10 kWh at 0.4 EUR, and 3 EUR in the first: none where it ran before the plan."""
    assert planned_eur(is_on_initially=False) == pytest.approx([7.0, 4.0])
    assert planned_eur(is_on_initially=True) == pytest.approx([4.0, 4.0])


def planned_eur(*, is_on_initially: bool) -> list[float]:
    """Two hours of a base load of 10 kW that a generator serves alone."""
    nothing = (0.0, 0.0)
    diesel = Generator("diesel", 0.0, 50.0, 0.4, 3.0, 800.0, is_on_initially)
    site = Site(
        name="DE",
        pools=(),
        grid=GridConnection(*[nothing] * 6),
        pue=(1.0, 1.0),
        base_load_kw=(10.0, 10.0),
        generators=(diesel,),
    )
    flows = SiteFlows(
        site="DE",
        it_load_kw=nothing,
        import_kw=nothing,
        export_kw=nothing,
        shortfall_kw=nothing,
        renewable_kw=(),
        charge_kw=(),
        discharge_kw=(),
        soc_kwh=(),
        generator_kw=((10.0, 10.0),),
    )
    return [expected_of(site, flows, slot, 1.0)["eur"] for slot in range(2)]
