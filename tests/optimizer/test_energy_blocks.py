"""What the model does with a site, on cases small enough to work out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from optimizer import (
    CapacityLimit,
    Ceilings,
    Horizon,
    Plan,
    Problem,
    SolveLimits,
    Weights,
    solve,
    verify,
)
from optimizer.exclusivity import exclusivity
from tests.optimizer.build import (
    battery,
    coincident,
    generator,
    grid,
    job,
    peak,
    point,
    problem,
    site,
    solar,
)

EXACT = SolveLimits(time_limit_s=30.0, mip_gap=0.0)


def planned(n_slots: int, *, site_: Any, **changes: Any) -> Plan:
    """The verified optimum of one site without jobs over hourly slots."""
    return optimum(problem(sites=(site_,), slots=Horizon(n_slots, 1.0), **changes))


def optimum(case: Problem) -> Plan:
    """The optimum, which verification accepts."""
    plan = solve(case, EXACT)
    assert verify(case, plan) == ()
    return plan


def one_site(n_slots: int, connection: Any, **changes: Any) -> Any:
    """A site without GPUs behind ``connection``."""
    return site(n_slots=n_slots, pools=(), grid=connection, **changes)


def test_a_battery_buys_low_and_sells_high() -> None:
    """80 % each way, 10 of 15 kWh at the start: 5 / 0.8 bought at 20, 15 * 0.8 sold at 90."""
    connection = grid([20, 95], sell=[0, 90], n_slots=2)
    unit = battery(
        charge_efficiency=0.8,
        discharge_efficiency=0.8,
        capacity_kwh=15.0,
        discharge_max_kw=20.0,
    )
    plan = planned(2, site_=one_site(2, connection, storage=(unit,)))
    assert plan.flows[0].charge_kw[0] == pytest.approx((6.25, 0.0))
    assert plan.flows[0].discharge_kw[0] == pytest.approx((0.0, 12.0))
    assert plan.objective == pytest.approx(0.020 * 6.25 - 0.090 * 12.0)


def test_a_battery_never_burns_energy_it_is_paid_to_take() -> None:
    """Full, at -100 EUR/MWh: taking more would need charging and discharging at once."""
    unit = battery(charge_efficiency=0.5, discharge_efficiency=0.5, soc_initial_kwh=20.0)
    connection = grid(-100, export_kw=0, n_slots=1)
    plan = planned(1, site_=one_site(1, connection, storage=(unit,)))
    assert plan.objective == pytest.approx(0.0)


def test_a_site_does_not_trade_through_its_connection() -> None:
    """Export at 90 above import at 20: only own power is sold, not bought power."""
    connection = grid(20, sell=90, n_slots=1)
    plan = planned(1, site_=one_site(1, connection, renewables=(solar(3, n_slots=1),)))
    assert plan.flows[0].import_kw == (0.0,)
    assert plan.objective == pytest.approx(-0.09 * 3)


def test_a_reserve_that_cannot_be_kept_is_a_priced_violation() -> None:
    """10 of 12 kWh and no way to charge: 2 kWh short in the slot, and 5 kWh short at its end."""
    unit = battery(charge_max_kw=0.0, soc_floor_kwh=12.0, soc_final_min_kwh=15.0)
    plan = planned(1, site_=one_site(1, grid(50, n_slots=1), storage=(unit,)))
    short = {violation.kind: violation.amount for violation in plan.violations}
    assert short == pytest.approx({"soc_floor": 2.0, "soc_final": 5.0})
    assert plan.objective == pytest.approx(20.0 * 7)


def test_energy_left_in_a_battery_has_its_terminal_value() -> None:
    """Worth 80 EUR/MWh at the end and 50 to buy: it fills up."""
    unit = battery(terminal_value_eur_per_kwh=0.08)
    plan = planned(1, site_=one_site(1, grid(50, n_slots=1), storage=(unit,)))
    assert plan.flows[0].soc_kwh[0] == pytest.approx((20.0,))
    assert plan.objective == pytest.approx(0.05 * 10 - 0.08 * 20)


def test_only_what_exceeds_the_months_peak_costs_more() -> None:
    """Base load 12 over a peak so far of 7 in a slot that counts; 30 in one that does not."""
    charged = peak(10.0, so_far_kw=7.0, counts=[1, 0], n_slots=2)
    plan = planned(2, site_=one_site(2, grid(0, n_slots=2), base_kw=[12, 30], peaks=(charged,)))
    assert plan.terms.peak_eur == pytest.approx(50.0)


def test_a_battery_shaves_the_dearer_of_two_peaks() -> None:
    """10 kW in each slot; 4 kWh and 6 more, bought where a kW costs 3, serve where it costs 10."""
    charges = (
        peak(3.0, counts=[1, 0], n_slots=2, name="cheap"),
        peak(10.0, counts=[0, 1], n_slots=2, name="dear"),
    )
    unit = battery(soc_initial_kwh=4.0)
    shaved = one_site(2, grid(0, n_slots=2), base_kw=10, peaks=charges, storage=(unit,))
    plan = planned(2, site_=shaved)
    assert plan.flows[0].import_kw == pytest.approx((16.0, 0.0))
    assert plan.terms.peak_eur == pytest.approx(3 * 16)


def test_a_battery_shaves_a_peak() -> None:
    """Loads of 10 and 20 level out at 15 with 5 kWh moved between slots."""
    unit = battery(soc_initial_kwh=0.0)
    shaved = one_site(
        2, grid(0, n_slots=2), base_kw=[10, 20], peaks=(peak(n_slots=2),), storage=(unit,)
    )
    plan = planned(2, site_=shaved)
    assert plan.flows[0].import_kw == pytest.approx((15.0, 15.0))


def test_a_coincident_peak_is_charged_by_its_probability() -> None:
    """10 EUR/kW at 1/4 and 1/2 on 3 and 4 kW; half-hour slots change nothing of it."""
    charged = one_site(
        2,
        grid(0, n_slots=2),
        base_kw=[3, 4],
        coincident_peaks=(coincident([0.25, 0.5], n_slots=2),),
    )
    plan = optimum(problem(sites=(charged,), slots=Horizon(2, 0.5)))
    assert plan.terms.peak_eur == pytest.approx(10 * (0.25 * 3 + 0.5 * 4))
    assert plan.objective == pytest.approx(27.5)


def test_a_battery_serves_the_slot_the_grid_is_likeliest_to_peak_in() -> None:
    """4 kWh against 10 kW in each of three slots: all of it where a kW costs 5 and not 1 or 2."""
    unit = battery(soc_initial_kwh=4.0, charge_max_kw=0.0)
    charges = (coincident([0.1, 0.5, 0.2], n_slots=3),)
    served = one_site(3, grid(0, n_slots=3), base_kw=10, storage=(unit,), coincident_peaks=charges)
    plan = planned(3, site_=served)
    assert plan.flows[0].import_kw == pytest.approx((10.0, 6.0, 10.0))
    assert plan.terms.peak_eur == pytest.approx(10 + 5 * 6 + 2 * 10)


def test_the_weight_of_peaks_weighs_coincident_ones_too() -> None:
    """Half of 10 EUR/kW on 2 kW; what is reported stays whole."""
    charged = one_site(
        1, grid(0, n_slots=1), base_kw=2, coincident_peaks=(coincident(1.0, n_slots=1),)
    )
    plan = planned(1, site_=charged, weights=Weights(peak=0.5))
    assert (plan.terms.peak_eur, plan.objective) == pytest.approx((20.0, 10.0))


def test_a_generator_runs_at_minimum_load_or_not_at_all() -> None:
    """A shortage of 1 kW: 2 kW of minimum load at 0.5 EUR/kWh, the grid gives 1 kW less."""
    short = one_site(
        1,
        grid(100, import_kw=4, export_kw=0, n_slots=1),
        base_kw=5,
        generators=(generator(start_eur=3.0),),
    )
    plan = planned(1, site_=short)
    assert plan.flows[0].generator_kw[0] == pytest.approx((2.0,))
    assert plan.objective == pytest.approx(0.5 * 2 + 3.0 + 0.1 * 3)


def test_a_generator_stays_on_rather_than_start_twice() -> None:
    """Staying on at 2 kW costs 0.8 EUR more than the grid; a second start would cost 3."""
    needed = grid(100, import_kw=[4, 9, 4], export_kw=0, n_slots=3)
    engine = generator(start_eur=3.0)
    plan = planned(3, site_=one_site(3, needed, base_kw=6, generators=(engine,)))
    assert plan.flows[0].generator_kw[0] == pytest.approx((2.0, 2.0, 2.0))
    assert plan.terms.generation_eur == pytest.approx(0.5 * 6 + 3.0)


def test_load_nothing_can_cover_is_a_named_shortfall() -> None:
    """7 kW behind a 5 kW connection: 2 kW short, at 100 EUR/kWh."""
    plan = planned(1, site_=one_site(1, grid(0, import_kw=5, n_slots=1), base_kw=7))
    assert [(v.kind, v.owner, v.slot, v.amount) for v in plan.violations] == [
        ("shortfall", "site A", 0, pytest.approx(2.0))
    ]
    assert plan.objective == pytest.approx(200.0)


def test_a_capacity_limit_is_kept_where_its_price_is_above_the_alternative() -> None:
    """Cutting 4 kW costs 2 EUR from the engine; breaking the limit would cost 8."""
    limit = CapacityLimit("dr", "A", 0, 1, 3.0, 2.0)
    engine = generator(min_kw=0.0)
    called = one_site(1, grid(100, n_slots=1), base_kw=7, generators=(engine,))
    plan = planned(1, site_=called, capacity_limits=(limit,))
    assert plan.violations == ()
    assert plan.flows[0].import_kw == pytest.approx((3.0,))


def test_a_capacity_limit_nobody_can_keep_is_broken_by_name() -> None:
    """Without an engine 4 kW over the limit remain."""
    limit = CapacityLimit("dr", "A", 0, 1, 3.0, 2.0)
    plan = planned(1, site_=one_site(1, grid(0, n_slots=1), base_kw=7), capacity_limits=(limit,))
    (broken,) = plan.violations
    assert (broken.kind, broken.amount) == ("capacity_limit", pytest.approx(4.0))
    assert "dr" in broken.owner


@pytest.mark.parametrize(("budget_kg", "engine_kwh"), [(10.0, 0.0), (3.0, 4.0)])
def test_a_carbon_budget_changes_the_source(budget_kg: float, engine_kwh: float) -> None:
    """10 kWh at 500 g/kWh is 5 kg: a budget of 3 needs 4 kWh of the dear, clean engine."""
    clean = generator(min_kw=0.0, max_kw=10.0)
    served = one_site(1, grid(100, carbon=500, n_slots=1), base_kw=10, generators=(clean,))
    plan = planned(1, site_=served, ceilings=Ceilings(carbon_budget_kg=budget_kg))
    assert plan.terms.carbon_kg <= budget_kg + 1e-6
    assert plan.flows[0].generator_kw[0][0] == pytest.approx(engine_kwh)


def test_a_cost_ceiling_limits_what_clean_energy_may_cost() -> None:
    """At 10 EUR/kg the engine pays in full; a ceiling of 3 EUR lets it give 5 of 10 kWh."""
    clean = generator(min_kw=0.0, max_kw=10.0)
    served = one_site(1, grid(100, carbon=500, n_slots=1), base_kw=10, generators=(clean,))
    plan = planned(
        1,
        site_=served,
        ceilings=Ceilings(cost_ceiling_eur=3.0),
        weights=Weights(carbon_eur_per_t=10_000.0),
    )
    assert plan.flows[0].generator_kw[0] == pytest.approx((5.0,))
    assert plan.violations == ()


def test_what_a_site_can_draw_bounds_its_import_only_where_a_binary_needs_it() -> None:
    """2 kW of base, 3 and 1 kW of jobs in their windows, a tenth and 1 kW on top."""
    jobs = (
        job("early", points=(point(power_kw=3.0),), deadline_slot=4),
        job("late", release_slot=3),
    )
    dear = site(base_kw=2.0, grid=grid(50.0, sell=60.0), renewables=(solar(9.0),))
    bounds = exclusivity(problem(*jobs, sites=(dear,)), dear)
    assert bounds.import_or_export_slots == tuple(range(8))
    drawn = (5, 5, 5, 6, 3, 3, 3, 3)
    assert bounds.import_most_kw == pytest.approx([1.1 * kw + 1.0 for kw in drawn])
    cheap = site(base_kw=2.0, grid=grid(50.0, sell=40.0), renewables=(solar(9.0),))
    assert exclusivity(problem(*jobs, sites=(cheap,)), cheap).import_most_kw == (1000.0,) * 8
