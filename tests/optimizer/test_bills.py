"""Bills of two real shapes of tariffs, worked out by hand, and what a battery saves on them."""

from __future__ import annotations

from typing import Any

import pytest

from optimizer import CapacityLimit, Horizon, PeakDemand, Plan, Site
from tests.optimizer.build import battery, grid, problem, site
from tests.optimizer.test_energy_blocks import optimum

FLAT_EUR_PER_KW, EVENING_EUR_PER_KW = 13.2, 18.1
"""Of a commercial tariff in California: on the month's peak, and on that of the evening."""


def by_the_hour(load_kw: tuple[float, ...], contract_kw: float, **changes: Any) -> Site:
    """Energy at 40 and 90 EUR/MWh, two demand charges, and 60 % of a contract as the least."""
    charges = (
        PeakDemand(FLAT_EUR_PER_KW, 30.0, (1.0,) * 4, "flat", floor_kw=0.6 * contract_kw),
        PeakDemand(EVENING_EUR_PER_KW, 10.0, (0.0, 0.0, 1.0, 1.0), "evening"),
    )
    prices = grid([40, 40, 90, 90], fee=12, n_slots=4)
    return site(n_slots=4, pools=(), grid=prices, base_kw=load_kw, peaks=charges, **changes)


def bill_of(here: Site, hours: float, **changes: Any) -> Plan:
    """The cheapest verified plan of one site without jobs."""
    slots = Horizon(len(here.pue), hours)
    return optimum(problem(sites=(here,), slots=slots, **changes))


@pytest.mark.parametrize(
    ("contract_kw", "flat_kw"),
    [(0.0, 50.0 - 30.0), (75.0, 50.0 - 45.0), (100.0, 0.0)],
)
def test_a_bill_with_demand_by_the_time_of_use_and_a_ratchet(
    contract_kw: float, flat_kw: float
) -> None:
    """20, 50, 40 and 25 kW for an hour each; 45 or 60 kW are billed under a contract anyway."""
    plan = bill_of(by_the_hour((20, 50, 40, 25), contract_kw), 1.0)
    assert plan.terms.energy_bought_eur == pytest.approx(0.040 * 70 + 0.090 * 65)
    assert plan.terms.network_eur == pytest.approx(0.012 * 135)
    assert plan.terms.peak_eur == pytest.approx(13.2 * flat_kw + 18.1 * (40 - 10))
    assert plan.objective == pytest.approx(8.65 + 1.62 + 13.2 * flat_kw + 543.0)


def test_a_battery_levels_both_peaks_of_a_bill_and_leaves_the_ratchet() -> None:
    """45 kW are billed anyway: it fills up by 20 kWh at 40 kW, and gives 5 where 50 are drawn.

    The 20 kWh that are left lower the 65 of the evening to 45, level at 22.5 kW.
    """
    unit = battery(
        charge_max_kw=25.0, discharge_max_kw=25.0, capacity_kwh=25.0, soc_initial_kwh=5.0
    )
    plan = bill_of(by_the_hour((20, 50, 40, 25), 75.0, storage=(unit,)), 1.0)
    flow = plan.flows[0]
    assert flow.import_kw == pytest.approx((40.0, 45.0, 22.5, 22.5))
    assert plan.terms.peak_eur == pytest.approx(18.1 * 12.5)
    assert plan.terms.money_eur == pytest.approx(0.040 * 85 + 0.090 * 45 + 0.012 * 130 + 226.25)


def test_a_bill_at_day_ahead_prices_with_a_capacity_charge() -> None:
    """Quarters of an hour, one below zero; 2 EUR per kW above 8 and a limit of 12 at 5 EUR/kWh."""
    prices = grid([60.0, -20.0, 120.0, 80.0], fee=10, n_slots=4)
    capacity = PeakDemand(2.0, 8.0, (1.0,) * 4, "capacity")
    limit = CapacityLimit("contract", "A", 0, 4, 12.0, 5.0)
    plain = site(n_slots=4, pools=(), grid=prices, base_kw=(8, 4, 14, 10), peaks=(capacity,))
    plan = bill_of(plain, 0.25, capacity_limits=(limit,))
    assert plan.terms.energy_bought_eur == pytest.approx(0.12 - 0.02 + 0.42 + 0.20)
    assert plan.terms.network_eur == pytest.approx(0.01 * 36 / 4)
    assert plan.terms.peak_eur == pytest.approx(2.0 * (14 - 8))
    assert plan.terms.violations_eur == pytest.approx(5.0 * 2 / 4)
    assert plan.objective == pytest.approx(0.72 + 0.09 + 12.0 + 2.5)


def test_a_battery_keeps_the_capacity_of_a_bill() -> None:
    """4 kW are free in the quarter that pays: these 4, and 6 kW of the 2 kWh it has, keep 8 later.

    It takes 1 kWh at -20 EUR/MWh, and gives 6 kW and 2 kW for a quarter each: 2 of its 2 kWh.
    """
    prices = grid([60.0, -20.0, 120.0, 80.0], fee=10, n_slots=4)
    capacity = PeakDemand(2.0, 8.0, (1.0,) * 4, "capacity")
    unit = battery(soc_initial_kwh=1.0, capacity_kwh=2.0)
    here = site(
        n_slots=4,
        pools=(),
        grid=prices,
        base_kw=(8, 4, 14, 10),
        peaks=(capacity,),
        storage=(unit,),
    )
    plan = bill_of(here, 0.25)
    assert plan.flows[0].import_kw == pytest.approx((8.0, 8.0, 8.0, 8.0))
    assert plan.terms.peak_eur == 0.0
    assert plan.objective == pytest.approx(8 * (0.060 - 0.020 + 0.120 + 0.080 + 4 * 0.010) / 4)
