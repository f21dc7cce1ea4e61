"""What a site could do beyond its plan within one slot, by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from optimizer import Headroom, Horizon, ReserveProduct, ReserveShare, Sheddable, headroom
from optimizer.plan import Plan
from tests.optimizer.build import (
    battery,
    flows,
    grid,
    job,
    placed,
    plan_of,
    point,
    pool,
    problem,
    site,
)

WIDE = grid(n_slots=1)


def room(
    *jobs: Any,
    hours: float = 1.0,
    held: tuple[ReserveShare, ...] = (),
    reserves: tuple[ReserveProduct, ...] = (),
    **case: Any,
) -> Headroom:
    """Of one site in one slot whose plan has these flows; ``units`` and ``here`` are the site's."""
    units = case.pop("units", ())
    here = site(
        n_slots=1,
        pools=(pool(n_slots=1),),
        storage=units,
        **({"grid": WIDE, "pue": 1.25} | case.pop("here", {})),
    )
    asked = problem(*jobs, sites=(here,), slots=Horizon(1, hours), reserves=reserves)
    plan: Plan = plan_of(asked, *(placed(one.name, ("A/full", 0, 1)) for one in jobs))
    rest = {"charge_kw": [0], "discharge_kw": [0]} if units else {}
    told = replace(flows(n_slots=1, **(rest | case)), reserves=held)
    return headroom(asked, replace(plan, flows=(told,)), "A")


def test_load_that_may_be_shed_counts_at_the_meter() -> None:
    """Two of four kW of a job at a PUE of 1.25, and one of the base load; what is sold does not."""
    here = {"base_kw": 3.0, "sheddable": (Sheddable((1.0,), 60.0),)}
    one = job(work=1, deadline_slot=1, points=(point(power_kw=4.0, shed_kw=2.0),))
    assert room(one, here=here, import_kw=8.0).shed_kw == (3.5,)
    sold = (ReserveShare("mFRR", "", (1.5,), (0.0,)),)
    assert room(one, here=here, import_kw=8.0, held=sold).shed_kw == (2.0,)


@pytest.mark.parametrize(
    ("flow", "discharge_kw", "charge_kw"),
    [
        # Half full and at rest: its rating both ways.
        ({"soc_kwh": [10]}, 10.0, 10.0),
        # It charges 4: it can stop that, and then give 6 of what was stored before.
        ({"charge_kw": [4], "soc_kwh": [10]}, 4.0 + 6.0, 6.0),
        # It gives 4: 6 are left of its rating; to turn round it stops, and takes 8 by its room.
        ({"discharge_kw": [4], "soc_kwh": [8]}, 6.0, 4.0 + 8.0),
        # Empty but for 2 kWh, and full but for 1.
        ({"soc_kwh": [2]}, 2.0, 10.0),
        ({"soc_kwh": [19]}, 10.0, 1.0),
    ],
)
def test_batteries_can_do_what_their_power_and_energy_leave(
    flow: dict[str, Any], discharge_kw: float, charge_kw: float
) -> None:
    """For the length of the slot; what flows already is stopped first."""
    found = room(units=(battery(),), import_kw=20.0, **flow)
    assert (found.more_discharge_kw, found.more_charge_kw) == ((discharge_kw,), (charge_kw,))


def test_losses_floor_and_the_length_of_a_slot_count() -> None:
    """Over half an hour 3 kWh above the floor give 6 kW inside, 4.8 at the meter."""
    unit = battery(discharge_efficiency=0.8, charge_efficiency=0.5, soc_floor_kwh=5.0)
    found = room(units=(unit,), hours=0.5, import_kw=20.0, soc_kwh=[8])
    assert found.more_discharge_kw == pytest.approx((4.8,))
    full = room(units=(unit,), hours=0.5, import_kw=20.0, soc_kwh=[19])
    assert full.more_charge_kw == pytest.approx((4.0,))


def test_what_is_held_for_reserves_is_sold_already() -> None:
    """By direction."""
    sold = (ReserveShare("FCR", "battery", (3.0,), (4.0,)),)
    found = room(units=(battery(),), import_kw=20.0, soc_kwh=[10], held=sold)
    assert (found.more_discharge_kw, found.more_charge_kw) == ((7.0,), (6.0,))


def test_nothing_passes_the_rating_of_the_connection() -> None:
    """It draws 6 of 8 kW, and may give back none."""
    here = {"grid": grid(n_slots=1, import_kw=8.0, export_kw=0.0)}
    found = room(units=(battery(),), import_kw=6.0, soc_kwh=[10], here=here)
    assert (found.more_discharge_kw, found.more_charge_kw) == ((6.0,), (2.0,))


def test_a_site_without_anything_has_none() -> None:
    """Zero, not nothing: it is known."""
    assert room(import_kw=1.0) == Headroom((0.0,), (0.0,), (0.0,))


def test_what_batteries_give_passes_the_connection_on_top_of_load_that_is_shed() -> None:
    """6 kW are drawn and 2 may be given back: of 5 that are shed and 10 given, 8 are left."""
    here = {
        "grid": grid(n_slots=1, export_kw=2.0),
        "base_kw": 5.0,
        "sheddable": (Sheddable((5.0,), 60.0),),
    }
    found = room(units=(battery(),), import_kw=6.0, soc_kwh=[10], here=here)
    assert (found.shed_kw, found.more_discharge_kw) == ((5.0,), (3.0,))
    tight = room(units=(battery(),), import_kw=2.0, soc_kwh=[10], here=here)
    assert (tight.shed_kw, tight.more_discharge_kw) == ((4.0,), (0.0,))


def test_room_of_the_connection_that_is_sold_is_not_there() -> None:
    """It draws 6 of 12 kW, and may give none back: of 6 each way 3 are sold up, 4 down."""
    here = {"grid": grid(n_slots=1, import_kw=12.0, export_kw=0.0)}
    sold = (
        ReserveShare("FCR", "battery", (2.0,), (4.0,)),
        ReserveShare("mFRR", "", (1.0,), (0.0,)),
    )
    found = room(units=(battery(),), import_kw=6.0, soc_kwh=[10], here=here, held=sold)
    assert (found.more_discharge_kw, found.more_charge_kw) == ((3.0,), (2.0,))


def test_energy_and_room_that_reserves_need_are_kept() -> None:
    """Of 14 kWh 4 stay for 2 h of 1.6 kW up; of room for 6 as much does for 2 h of 4 kW down.

    The 10 that are left give 8 kW for an hour, the 2 take 4 kW; the ratings would leave 8.4 and 6.
    """
    unit = battery(discharge_efficiency=0.8, charge_efficiency=0.5)
    product = ReserveProduct("FCR", ("A",), (), 1.0, 9, hours=2.0, is_down=True)
    sold = (ReserveShare("FCR", "battery", (1.6,), (4.0,)),)
    found = room(units=(unit,), import_kw=20.0, soc_kwh=[14], held=sold, reserves=(product,))
    assert (found.more_discharge_kw, found.more_charge_kw) == (
        pytest.approx((8.0,)),
        pytest.approx((4.0,)),
    )
