"""What drawing less or more costs, by figures that can be checked by hand."""

from __future__ import annotations

import pytest

from optimizer.flexibility import CallPrice, LevelCall, net_import_kw, price_call
from optimizer.problem import Problem
from optimizer.progress import SolveLimits
from optimizer.solving.solve import solve
from tests.optimizer.build import battery, job, point, problem, site

LIMITS = SolveLimits(time_limit_s=20.0, mip_gap=0.0)


def priced(case: Problem, slot: int, *level_kw: float, is_up: bool = False) -> CallPrice:
    """The price of a call from ``slot`` on."""
    reference = solve(case, LIMITS)
    call = LevelCall(("A",), slot, level_kw, is_up)
    return price_call(case, reference, call, LIMITS, lambda: 0.0)


@pytest.fixture
def one_job() -> Problem:
    """A job of an hour at 10 kW; energy is 100 EUR/MWh, and 50 in hour 3, where it runs."""
    prices = [100.0, 100.0, 100.0, 50.0, 100.0, 100.0, 100.0, 100.0]
    return problem(job(work=1.0, points=(point(power_kw=10.0),)), sites=[site(price=prices)])


def test_less_costs_what_moving_the_job_costs(one_job: Problem) -> None:
    """10 kWh at 100 and not at 50 EUR/MWh: half a euro."""
    found = priced(one_job, 3, 0.0)
    assert found.is_met
    assert found.cost_eur == pytest.approx(0.5)
    assert found.least_eur == pytest.approx(0.5)
    assert found.most_eur == pytest.approx(0.5)
    assert len(found.moved) == 1


def test_more_costs_the_same_where_a_job_can_be_had_from_elsewhere(one_job: Problem) -> None:
    """The job comes from hour 3 to hour 5; the subsidy that brings it there is in no figure."""
    found = priced(one_job, 5, 10.0, is_up=True)
    assert found.is_met
    assert found.cost_eur == pytest.approx(0.5)
    assert found.least_eur == pytest.approx(0.5)
    assert found.import_kw == pytest.approx((10.0,))


def test_more_than_there_is_work_for_cannot_be_had(one_job: Problem) -> None:
    """There is no price of what no plan does; nor of 10 kW for two hours."""
    for level in ((20.0,), (10.0, 10.0)):
        found = priced(one_job, 5, *level, is_up=True)
        assert (found.is_met, found.cost_eur, found.most_eur) == (False, None, None)


def test_less_for_nothing_is_free(one_job: Problem) -> None:
    """Nothing is drawn in hour 1, and not more is asked."""
    found = priced(one_job, 1, 0.0)
    assert (found.is_met, found.moved) == (True, ())
    assert found.cost_eur == pytest.approx(0.0)


def test_less_from_a_battery_costs_what_its_charge_is_worth_and_its_wear() -> None:
    """4 kWh: 0.2 lost in worth and 0.01 of wear for each, 0.1 not bought: 0.44 EUR."""
    unit = battery(terminal_value_eur_per_kwh=0.2, wear_eur_per_kwh=0.01, charge_max_kw=0.0)
    case = problem(sites=[site(base_kw=10.0, storage=(unit,))])
    found = priced(case, 2, 6.0)
    assert found.cost_eur == pytest.approx(0.44)
    assert found.moved == ()


def test_net_import_is_that_of_the_sites_named(one_job: Problem) -> None:
    """In sum, slot by slot."""
    reference = solve(one_job, LIMITS)
    assert net_import_kw(reference, ("A",)).sum() == pytest.approx(10.0)
