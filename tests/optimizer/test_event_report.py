"""Who answers a call, with how many kW: the sources add up to what is imported less."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from optimizer import (
    CapacityLimit,
    DemandEvent,
    EventReport,
    Pausing,
    Problem,
    Weights,
    event_report,
    solve,
    without_event,
)
from tests.optimizer.build import battery, generator, job, point, problem, site
from tests.optimizer.test_energy_blocks import EXACT, optimum
from tests.strategies import problems

CAPS = (point("A/full", power_kw=3.0, work_per_hour=2.0), point("A/capped"))


def report_of(case: Problem, name: str = "dr") -> EventReport:
    """Plan with the call and without it, and compare."""
    return event_report(case, optimum(case), optimum(without_event(case, name)), name)


def called(*jobs: object, level_kw: float = 0.0, **changes: object) -> Problem:
    """Two cheap hours in the morning, called to ``level_kw`` in them."""
    here = site(price=(10, 10, 50, 50, 50, 50, 50, 50), **changes)  # type: ignore[arg-type]
    event = DemandEvent("dr", ("A",), 0, (level_kw, level_kw), 5.0, pay_eur=9.0)
    return problem(*jobs, sites=(here,), events=(event,))  # type: ignore[arg-type]


def test_a_battery_and_an_engine_share_a_call() -> None:
    """4 kW of load: the battery gives its 4 kWh at 2 kW for two hours, the engine the rest."""
    unit = battery(soc_initial_kwh=4.0, discharge_max_kw=2.0, charge_max_kw=0.0)
    engine = generator(min_kw=0.0, max_kw=9.0, fuel_eur_per_kwh=0.3)
    report = report_of(called(base_kw=4, storage=(unit,), generators=(engine,)))
    first_hours = {source.source: source.kw[:2] for source in report.delivered}
    assert first_hours["storage A/battery"] == pytest.approx((2.0, 2.0))
    assert first_hours["generator A/diesel"] == pytest.approx((2.0, 2.0))
    assert report.effort_eur == pytest.approx(4 * 0.3 - 8 * 0.01 + 4 * 0.05)
    assert report.gain_eur == pytest.approx(9.0 - report.effort_eur)
    costs = {source.source: source.cost_eur for source in report.delivered}
    assert costs["generator A/diesel"] == pytest.approx(4 * 0.3 - 4 * 0.01)
    assert costs["storage A/battery"] == pytest.approx(4 * 0.05 - 4 * 0.01)


def test_what_sources_cost_is_by_the_weights_like_the_effort() -> None:
    """Energy counts thrice, generation twice: nothing of the effort is with no source."""
    unit = battery(soc_initial_kwh=4.0, discharge_max_kw=2.0, charge_max_kw=0.0)
    engine = generator(min_kw=0.0, max_kw=9.0, fuel_eur_per_kwh=0.3)
    case = called(base_kw=4, storage=(unit,), generators=(engine,))
    report = report_of(replace(case, weights=Weights(energy=3.0, generation=2.0)))
    costs = {source.source: source.cost_eur for source in report.delivered}
    assert costs["generator A/diesel"] == pytest.approx(2 * 4 * 0.3 - 3 * 4 * 0.01)
    assert costs["storage A/battery"] == pytest.approx(3 * (4 * 0.05 - 4 * 0.01))
    assert report.effort_eur == pytest.approx(sum(costs.values()))


@pytest.mark.parametrize(
    ("todo", "level_kw", "how"),
    [
        (job(work=4, points=CAPS, is_elastic=True, deadline_slot=3), 1.0, "capped"),
        (job(work=2), 0.0, "later"),
        (job(work=1, deadline_slot=2, unserved_eur=1.0), 0.0, "left out"),
    ],
)
def test_a_job_says_how_it_answers(todo: object, level_kw: float, how: str) -> None:
    """By running slower, by waiting, or, with no time to, by being left out."""
    case = called(todo, level_kw=level_kw)
    (source,) = [one for one in report_of(case).delivered if one.source.startswith("job")]
    assert source.how == how
    assert sum(source.kw[:2]) > 0


def test_a_job_that_began_before_a_call_pauses_for_it() -> None:
    """Three hours of work, the second of the day called: it stops, and goes on afterwards."""
    event = DemandEvent("dr", ("A",), 1, (0.0,), 5.0)
    cheap_first = site(price=(1, 10, 20, 30, 40, 50, 60, 70))
    case = problem(job(work=3, pausing=Pausing()), sites=(cheap_first,), events=(event,))
    (source,) = report_of(case).delivered
    assert (source.source, source.how) == ("job job", "paused")
    assert source.kw[:4] == pytest.approx((0.0, 1.0, 0.0, -1.0))


def test_a_job_moves_to_where_nobody_calls() -> None:
    """The other site is dearer, but its import does not count."""
    both = (point("A/full"), point("B/full"))
    event = DemandEvent("dr", ("A",), 0, (0.0,) * 8, 5.0)
    sites = (site("A", price=10.0), site("B", price=20.0))
    (source,) = report_of(problem(job(points=both), sites=sites, events=(event,))).delivered
    assert (source.how, sum(source.kw)) == ("moved", pytest.approx(2.0))


@settings(
    max_examples=10, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(problems(n_jobs=(1, 2), max_slots=6, has_plant=True))
def test_sources_add_up_to_what_is_imported_less(case: Problem) -> None:
    """In every slot, of sites and of jobs, whatever is behind the meter."""
    for event in case.events:
        plan, without = solve(case, EXACT), solve(without_event(case, event.name), EXACT)
        report = event_report(case, plan, without, event.name)
        added = np.sum([source.kw for source in report.delivered], axis=0)
        less = np.subtract(report.without_kw, report.planned_kw)
        assert added + 0 * less == pytest.approx(less, abs=1e-4)


def test_a_limit_is_answered_like_a_call_that_pays_nothing() -> None:
    """The job waits for 50 EUR/MWh instead of 10; what it cannot leave is missed, at its price."""
    case = called(job(work=2), base_kw=1)
    event = case.events[0]
    limit = CapacityLimit("dr", "A", 0, 2, 0.0, event.missed_eur_per_kwh)
    report = report_of(replace(case, events=(), capacity_limits=(limit,)))
    (source,) = report.delivered
    assert (source.source, source.how, report.is_declined) == ("job job", "later", False)
    assert source.cost_eur == pytest.approx(2 * 0.04)
    assert report.effort_eur == pytest.approx(2 * 0.04)
    assert report.gain_eur == pytest.approx(-2 * 0.04 - 2 * 5.0)


def test_a_call_nobody_knows_has_no_report() -> None:
    """Rather than an empty one."""
    case = called(base_kw=1)
    with pytest.raises(KeyError):
        event_report(case, optimum(case), optimum(case), "other")
