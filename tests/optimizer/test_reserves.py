"""Reserves: what is held, from what, and what it earns, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from optimizer import Horizon, InvalidProblem, Plan, Problem, Sheddable, greedy, verify
from optimizer.exclusivity import exclusivity
from optimizer.plan import ReserveShare
from optimizer.reserves import ReserveBlock, ReserveProduct
from tests.optimizer.build import battery, grid, job, point, pool, problem, site
from tests.optimizer.test_energy_blocks import one_site, optimum, planned

MFRR = ReserveProduct("mFRR", ("A",), (ReserveBlock(0, 1, 1.0),), 1.0, 100, hours=1.0)
FCR = replace(MFRR, name="FCR", is_down=True)
OPEN = grid(0, sell=-1, export_kw=1000, n_slots=1)
"""Energy for nothing, and all of it may be fed in at a loss."""


def held(plan: Plan, direction: str = "up") -> float:
    """All that is held in slot 0 [kW]."""
    return sum(getattr(share, f"{direction}_kw")[0] for f in plan.flows for share in f.reserves)


def earned(unit: Any, product: ReserveProduct = MFRR, **changes: Any) -> Plan:
    """One battery, one hour."""
    connection = changes.pop("connection", OPEN)
    here = one_site(1, connection, storage=(unit,), **changes)
    return planned(1, site_=here, reserves=(product,))


@pytest.mark.parametrize(
    ("hours", "lots"),
    [(0.25, 10), (1.0, 8), (2.0, 4), (4.0, 2)],
)
def test_energy_must_last_as_long_as_the_product_asks(hours: float, lots: int) -> None:
    """10 kWh at 80 % give 8: 10 kW of power for a quarter, 8 for an hour, 2 for four."""
    unit = battery(discharge_efficiency=0.8, charge_max_kw=0.0)
    plan = earned(unit, replace(MFRR, hours=hours))
    assert held(plan) == pytest.approx(lots)
    assert plan.terms.commitment_earned_eur == pytest.approx(lots)
    assert plan.objective == pytest.approx(-lots)


def test_energy_must_be_there_when_a_slot_begins() -> None:
    """3 kWh hold 3 kW, though the hour ends with 13 because filling up is paid for."""
    connection = grid(-90, sell=-1e4, export_kw=99, n_slots=1)
    plan = earned(battery(soc_initial_kwh=3.0), connection=connection)
    assert plan.flows[0].soc_kwh[0] == pytest.approx((13.0,))
    assert held(plan) == pytest.approx(3.0)


def test_energy_sold_is_not_there_at_the_end() -> None:
    """9 kWh, 4 of them sold at 0.20 for the load, 5 kept: a kW held at 0.10 is worth less."""
    unit = battery(soc_initial_kwh=9.0)
    product = replace(MFRR, blocks=(ReserveBlock(0, 1, 0.1),))
    plan = earned(unit, product, connection=grid(200, sell=-1, n_slots=1, export_kw=99), base_kw=4)
    assert plan.flows[0].discharge_kw[0] == pytest.approx((4.0,))
    assert held(plan) == pytest.approx(5.0)


def test_a_symmetric_product_keeps_as_much_free_as_it_can_give() -> None:
    """16 of 20 kWh: 4 are free at 50 % charging, which hold 8 kW for an hour, and 10 give."""
    unit = battery(soc_initial_kwh=16.0, charge_efficiency=0.5)
    plan = earned(unit, FCR)
    assert (held(plan, "up"), held(plan, "down")) == (pytest.approx(8.0), pytest.approx(8.0))


def test_reserve_is_sold_in_whole_lots() -> None:
    """10 kW of power hold three lots of 3, and of these two may be sold."""
    assert held(earned(battery(), replace(MFRR, lot_kw=3.0))) == pytest.approx(9.0)
    assert held(earned(battery(), replace(MFRR, lot_kw=3.0, most_lots=2))) == pytest.approx(6.0)


def test_a_block_is_one_amount_in_all_its_slots() -> None:
    """5 of 10 kW cover a load in the dear hour: 5 are left in it, and in the whole block."""
    unit = battery(charge_max_kw=0.0)
    connection = grid([0, 9e3], sell=-1, n_slots=2, export_kw=99)
    here = one_site(2, connection, base_kw=[0, 5], storage=(unit,))
    product = replace(MFRR, blocks=(ReserveBlock(0, 2, 1.0),), hours=0.0)
    plan = planned(2, site_=here, reserves=(product,))
    (share,) = plan.flows[0].reserves
    assert share.up_kw == pytest.approx((5.0, 5.0))
    apart = replace(product, blocks=(ReserveBlock(0, 1, 1.0), ReserveBlock(1, 2, 1.0)))
    plan = planned(2, site_=here, reserves=(apart,))
    assert plan.flows[0].reserves[0].up_kw == pytest.approx((10.0, 5.0))


def test_a_connection_must_carry_what_is_called() -> None:
    """2 kW of load and 3 kW of export are 5 upward; 9 of import less 2 are 7 downward."""
    weak = grid(0, sell=-1, export_kw=3, import_kw=9, n_slots=1)
    up = earned(battery(charge_max_kw=0.0), connection=weak, base_kw=2)
    assert held(up) == pytest.approx(5.0)
    down = replace(MFRR, is_up=False, is_down=True)
    plan = earned(battery(discharge_max_kw=0.0), down, connection=weak, base_kw=2)
    assert held(plan, "down") == pytest.approx(7.0)


def test_a_battery_that_charges_can_stop_as_well() -> None:
    """Paid to take 10 kW, it gives up these and 10 more: 20 kW for a quarter of an hour."""
    connection = grid(-90, sell=-1e4, export_kw=99, n_slots=1)
    plan = earned(battery(), replace(MFRR, hours=0.25), connection=connection)
    assert held(plan) == pytest.approx(20.0)


def test_two_products_do_not_sell_the_same_kilowatt() -> None:
    """10 kW of power, 10 kWh: the dearer takes what there is."""
    dear = replace(MFRR, name="dear", blocks=(ReserveBlock(0, 1, 2.0),), most_lots=4)
    here = one_site(1, OPEN, storage=(battery(),))
    plan = planned(1, site_=here, reserves=(MFRR, dear))
    sold = {share.product: share.up_kw[0] for share in plan.flows[0].reserves}
    assert sold == pytest.approx({"dear": 4.0, "mFRR": 6.0})


def test_a_battery_is_not_charged_and_discharged_at_once_to_look_free() -> None:
    """Paid to import, full, and bound to hold 10 kW up: all it could burn would be charging too."""
    unit = battery(
        soc_initial_kwh=20.0, charge_efficiency=0.5, discharge_efficiency=0.5, wear_eur_per_kwh=0.01
    )
    connection = grid(-100, sell=-1e4, export_kw=99, n_slots=1)
    plan = earned(unit, connection=connection)
    assert held(plan) == pytest.approx(10.0)
    assert plan.objective == pytest.approx(-10.0)
    assert plan.flows[0].charge_kw == ((0.0,),)


def test_a_site_that_holds_reserves_keeps_charging_and_discharging_apart_everywhere() -> None:
    """With wear and prices above zero it would need no binary without them."""
    here = site(storage=(battery(wear_eur_per_kwh=0.01),))
    assert exclusivity(problem(sites=(here,)), here).charge_or_discharge_slots == ()
    case = problem(sites=(here,), reserves=(MFRR,))
    assert exclusivity(case, here).charge_or_discharge_slots == tuple(range(8))


def test_a_backup_is_kept_beneath_the_reserve() -> None:
    """10 kWh, 6 of which are a backup: 4 kW for an hour."""
    assert held(earned(battery(soc_floor_kwh=6.0))) == pytest.approx(4.0)


def test_what_is_sold_and_not_held_is_named() -> None:
    """Ten lots sold, energy for six: four missed for half an hour at 3 EUR, and all are paid."""
    sold = replace(MFRR, blocks=(ReserveBlock(0, 1, 1.0, sold_lots=10),), missed_eur_per_kwh=3.0)
    here = one_site(1, OPEN, storage=(battery(soc_initial_kwh=6.0, charge_max_kw=0.0),))
    plan = optimum(problem(sites=(here,), slots=Horizon(1, 0.5), reserves=(sold,)))
    (missed,) = plan.violations
    assert (missed.kind, missed.owner) == ("reserve_up", "reserve mFRR")
    assert (missed.amount, missed.penalty_eur) == (pytest.approx(4.0), pytest.approx(6.0))
    assert plan.objective == pytest.approx(6.0 - 10.0)


def shedding(*jobs: Any, activation_s: float = 60.0, **changes: Any) -> Plan:
    """One pool of four GPUs, one hour, 1.25 kW of facility for each of IT, and no battery."""
    here = site(n_slots=1, pools=(pool(n_slots=1),), grid=grid(0, n_slots=1), pue=1.25, **changes)
    product = replace(MFRR, activation_s=activation_s, lot_kw=0.25)
    case = problem(*jobs, sites=(here,), slots=Horizon(1, 1.0), reserves=(product,))
    return optimum(case)


def test_load_that_is_shed_in_time_is_a_reserve() -> None:
    """A job of 4 kW can shed 2 in 30 s: 2.5 kW at the meter, if there are 60 s and not 10."""
    todo = job(work=1, points=(point(power_kw=4.0, shed_kw=2.0, shed_within_s=30.0),))
    assert held(shedding(replace(todo, deadline_slot=1))) == pytest.approx(2.5)
    assert held(shedding(replace(todo, deadline_slot=1), activation_s=10.0)) == 0.0


def test_a_job_runs_where_its_load_earns_most() -> None:
    """Power costs the same in both hours, and in the second a kW that can be shed earns 1 EUR."""
    points = (point(power_kw=2.0, shed_kw=2.0),)
    here = site(n_slots=2, pools=(pool(n_slots=2),), grid=grid(50, n_slots=2))
    product = replace(MFRR, blocks=(ReserveBlock(1, 2, 1.0),))
    todo = job(work=1, points=points, deadline_slot=2)
    case = problem(todo, sites=(here,), slots=Horizon(2, 1.0), reserves=(product,))
    plan = optimum(case)
    assert plan.placements[0].start_slot == 1
    assert plan.objective == pytest.approx(0.1 - 2.0)


def _forged(share: ReserveShare, **changes: Any) -> tuple[Problem, Plan]:
    """A plan that holds nothing, and says it holds ``share``."""
    here = one_site(1, grid(0, sell=-1, export_kw=15, n_slots=1), base_kw=1, storage=(battery(),))
    case = problem(sites=(here,), slots=Horizon(1, 1.0), reserves=(FCR, MFRR), **changes)
    plan = optimum(replace(case, reserves=()))
    return case, replace(plan, flows=(replace(plan.flows[0], reserves=(share,)),))


@pytest.mark.parametrize(
    ("share", "broken"),
    [
        (ReserveShare("FCR", "battery", (11.0,), (0.0,)), "reserve_up_power"),
        (ReserveShare("FCR", "battery", (0.0,), (11.0,)), "reserve_down_power"),
        (ReserveShare("FCR", "battery", (-1.0,), (0.0,)), "up_not_negative"),
        (ReserveShare("mFRR", "battery", (0.0,), (1.0,)), "down_offered"),
        (ReserveShare("mFRR", "", (1.0,), (0.0,)), "load_shed"),
        (ReserveShare("other", "battery", (1.0,), (0.0,)), "known_reserve"),
        (ReserveShare("FCR", "other", (1.0,), (0.0,)), "known_source"),
        (ReserveShare("FCR", "battery", (1.0, 1.0), (0.0,)), "length of up_kw"),
        (ReserveShare("FCR", "battery", (float("nan"),), (0.0,)), "finite up_kw"),
    ],
)
def test_a_reserve_that_is_not_there_is_refused(share: ReserveShare, broken: str) -> None:
    """By the limit it breaks, whatever the plan says of it."""
    case, plan = _forged(share)
    assert broken in {breach.limit_name for breach in verify(case, plan)}


def test_energy_is_verified_at_both_ends() -> None:
    """Twelve of twenty kWh, six discharged: 10 kW for an hour would need ten at the end as well."""
    here = one_site(1, OPEN, base_kw=6, storage=(battery(soc_initial_kwh=12.0),))
    case = problem(sites=(here,), slots=Horizon(1, 1.0), reserves=(MFRR,))
    dear = replace(here, grid=grid(1e3, sell=-1, export_kw=99, n_slots=1))
    plan = optimum(replace(case, sites=(dear,), reserves=()))
    share = ReserveShare("mFRR", "battery", (4.0,), (0.0,))
    assert plan.flows[0].soc_kwh == (pytest.approx((6.0,)),)

    def breaches(kw: float) -> set[str]:
        claimed = replace(share, up_kw=(kw,))
        forged = replace(plan, flows=(replace(plan.flows[0], reserves=(claimed,)),))
        return {breach.limit_name for breach in verify(case, forged)} - {"objective"}

    assert "reserve_up_energy" not in breaches(4.0)
    assert "reserve_up_power" in breaches(4.5)
    longer = replace(case, reserves=(replace(MFRR, hours=2.0),))
    forged = replace(plan, flows=(replace(plan.flows[0], reserves=(share,)),))
    assert "reserve_up_energy" in {breach.limit_name for breach in verify(longer, forged)}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sites": ()}, "sites"),
        ({"sites": ("nowhere",)}, "nowhere"),
        ({"lot_kw": 0.0}, "lot_kw"),
        ({"is_up": False}, "is_up"),
        ({"blocks": (ReserveBlock(0, 2, 1.0), ReserveBlock(1, 3, 1.0))}, "start_slot"),
        ({"blocks": (ReserveBlock(0, 2, 1.0, sold_lots=101),)}, "sold_lots"),
    ],
)
def test_a_product_that_contradicts_itself_is_refused(changes: dict[str, Any], words: str) -> None:
    """The refusal names the reserve and what is wrong with it."""
    with pytest.raises(InvalidProblem, match=f"reserve mFRR.*{words}"):
        problem(reserves=(replace(MFRR, **changes),))


def test_plans_without_a_solver_hold_what_is_sold_and_sell_no_more() -> None:
    """Sold: 6 kW for 1.5 hours and 5 for half of one: 9 + 1 of 10 kWh, and load sheds the rest."""
    sold = replace(MFRR, blocks=(ReserveBlock(0, 1, 1.0, sold_lots=6),), hours=1.5)
    more = replace(sold, name="more", blocks=(ReserveBlock(0, 1, 1.0, 5),), hours=0.5)
    here = one_site(
        1, OPEN, base_kw=4, storage=(battery(),), sheddable=(Sheddable((4.0,), within_s=0.0),)
    )
    case = problem(sites=(here,), slots=Horizon(1, 1.0), reserves=(sold, more, FCR))
    plan = greedy(case)
    assert verify(case, plan) == ()
    assert plan.violations == ()
    shares = {(share.product, share.source): share.up_kw[0] for share in plan.flows[0].reserves}
    assert shares == pytest.approx(
        {("mFRR", "battery"): 6.0, ("more", "battery"): 2.0, ("more", ""): 3.0}
    )
