"""The greedy plan and the latest safe start: feasible always, sensible where it can be checked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from optimizer.baselines import run_now
from optimizer.jobs import Announced, Pausing, Pin
from optimizer.plan import Plan, Rung, SlotPrices
from optimizer.problem import CapacityLimit, Problem, Weights
from optimizer.room import Room, by_precedence, latest_ends
from optimizer.solving.greedy import greedy, latest_safe_start
from optimizer.solving.marginal import marginal_cost, tariffs_of
from optimizer.tariffs import tariff_of
from optimizer.verify import verify
from tests.optimizer import build
from tests.strategies import problems


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(problems(n_jobs=(1, 5), max_slots=9, has_plant=True))
def test_any_problem_gets_a_plan_that_stands_and_is_no_dearer_than_running_now(
    problem: Problem,
) -> None:
    """Whatever the input, both rungs answer, and verification accepts the answer."""
    plan = greedy(problem)
    assert verify(problem, plan) == ()
    assert verify(problem, latest_safe_start(problem)) == ()
    assert plan.objective <= run_now(problem).objective + 1e-6
    assert (plan.rung, plan.bound) == (Rung.GREEDY, None)


def starts(plan: Plan) -> dict[str, int]:
    """Start of every job served."""
    return {placement.job: placement.start_slot for placement in plan.placements}


def test_greedy_takes_the_cheap_slots_and_pauses_for_them() -> None:
    """Slots 2 and 5 are cheap; one restart of 0.01 EUR is worth it."""
    job = build.job(pausing=Pausing(restart_eur=0.01))
    site = build.site(price=[90, 90, 5, 90, 90, 5, 90, 90])
    (placement,) = greedy(build.problem(job, sites=[site])).placements
    assert placement == build.placed("job", ("A/full", 2, 3), ("A/full", 5, 6))


def test_greedy_uses_own_sun_before_cheap_imports() -> None:
    """Sun in slots 4-5 is free; imports are cheapest in slot 0."""
    site = build.site(
        price=[20, 20, 90, 90, 90, 90, 90, 90],
        renewables=(build.solar([0, 0, 0, 0, 1, 1, 0, 0]),),
    )
    assert starts(greedy(build.problem(build.job(), sites=[site]))) == {"job": 4}


def test_greedy_keeps_clear_of_contractual_limits_and_new_peaks() -> None:
    """Slots 0-1 are called by a grid event; two jobs at once would raise the peak by 1 kW."""
    problem = build.problem(
        build.job("a"),
        build.job("b"),
        sites=[
            build.site(price=[1, 1, 5, 5, 9, 9, 9, 9], peaks=(build.peak(10.0, so_far_kw=1.0),))
        ],
        capacity_limits=(CapacityLimit("dr-7", "A", 0, 2, 0.0, 50.0),),
    )
    plan = greedy(problem)
    assert min(starts(plan).values()) == 2
    assert plan.violations == ()
    assert plan.terms.peak_eur == 0.0


def test_greedy_keeps_clear_of_the_hours_the_grid_may_peak_in() -> None:
    """Slots 0-5 are cheaper by 0.09 EUR/kWh, and a kW there costs 1 EUR in expectation."""
    charges = (build.coincident([0.1] * 6 + [0, 0]),)
    site = build.site(price=[10] * 6 + [100, 100], coincident_peaks=charges)
    plan = greedy(build.problem(build.job(), sites=[site]))
    assert starts(plan) == {"job": 6}
    assert plan.terms.peak_eur == 0.0


def test_greedy_buys_low_and_discharges_high() -> None:
    """A battery of 20 kWh, empty, shifts the base load out of the dear slots."""
    site = build.site(
        price=[0, 0, 100, 100, 100, 100, 100, 100],
        base_kw=3.0,
        storage=(build.battery(soc_initial_kwh=0.0),),
    )
    plan = greedy(build.problem(sites=[site]))
    assert plan.terms.energy_bought_eur == pytest.approx(0.0, abs=1e-6)


def test_greedy_recharges_to_the_backup_floor_and_the_final_minimum() -> None:
    """Falling short would cost 20 EUR per kWh and slot."""
    unit = build.battery(soc_initial_kwh=8.0, soc_floor_kwh=8.0, soc_final_min_kwh=15.0)
    plan = greedy(build.problem(sites=[build.site(storage=(unit,))]))
    assert plan.violations == ()
    assert plan.flows[0].soc_kwh[0][-1] == pytest.approx(15.0)


def test_a_job_that_costs_more_than_it_is_worth_is_left_out_with_the_amounts() -> None:
    """2 kWh at 1000 EUR/MWh are 2 EUR; leaving it out costs 0.5."""
    problem = build.problem(build.job(unserved_eur=0.5), sites=[build.site(price=1000.0)])
    (left_out,) = greedy(problem).unserved
    assert left_out.reason == (
        "too dear: added to the plan, its cheapest place, A from slot 0 to 2, costs 2.00 EUR;"
        " leaving it out costs 0.50 EUR (1.50 EUR less)"
    )


def test_a_cheap_job_is_served_if_a_dear_one_waits_for_it() -> None:
    """A alone is not worth its 2 EUR, but b after it is worth 100."""
    problem = build.problem(
        build.job("a", unserved_eur=0.5),
        build.job("b", after=("a",)),
        sites=[build.site(price=1000.0)],
    )
    assert set(starts(greedy(problem))) == {"a", "b"}


def test_churn_keeps_an_announced_start_unless_moving_pays() -> None:
    """Slot 6 is 0.18 EUR cheaper than slot 3: not worth a churn of 1 EUR, worth one of 0.1."""
    job = build.job(announced=Announced("A", 3))
    site = build.site(price=[100, 100, 100, 100, 100, 100, 10, 10])
    for churn_eur, start in ((1.0, 3), (0.1, 6)):
        problem = build.problem(job, sites=[site], weights=Weights(churn_eur_per_job=churn_eur))
        assert starts(greedy(problem)) == {"job": start}


def test_greedy_follows_the_prices_of_a_relaxation() -> None:
    """One job fits per slot. By itself the first takes the cheap one, and the big one pays."""
    small = build.job("small", 1.0, points=(build.point(gpus=4),))
    big = build.job("big", 1.0, points=(build.point(gpus=4, power_kw=5.0),))
    dear = [1000, 10_000, *[90_000] * 6]
    problem = build.problem(small, big, sites=[build.site(price=dear)])
    scarce = (5.0, *[0.0] * 7)
    guided = greedy(problem, SlotPrices((tuple(price / 1000 for price in dear),), ((scarce,),)))
    assert starts(greedy(problem)) == {"small": 0, "big": 1}
    assert starts(guided) == {"small": 1, "big": 0}
    assert guided.objective == pytest.approx(15.0)


def test_the_same_problem_gives_the_same_plan() -> None:
    """No clock and no chance in it."""
    problem = build.problem(*(build.job(f"job-{i}", 1.0 + i % 3) for i in range(12)))
    assert greedy(problem) == greedy(problem)


def test_latest_safe_start_waits_until_the_deadline_where_there_is_room() -> None:
    """One GPU: the second job has to end when the first begins; the pin stays where it is."""
    problem = build.problem(
        build.job("first"),
        build.job("second"),
        build.job("held", 1.0, pin=Pin("A/full", 0, 1, is_running=True)),
        sites=[build.site(pools=(build.pool(gpus=1),))],
    )
    plan = latest_safe_start(problem)
    assert plan.rung is Rung.LATEST_SAFE_START
    assert starts(plan) == {"held": 0, "first": 6, "second": 4}


def test_latest_safe_start_falls_back_to_a_faster_point() -> None:
    """The default point would need 10 slots; only the fast one meets the deadline."""
    points = (build.point("A/slow", work_per_hour=0.2), build.point("A/fast"))
    plan = latest_safe_start(build.problem(build.job(points=points)))
    assert plan.placements == (build.placed("job", ("A/fast", 6, 8)),)


def test_jobs_before_others_must_be_done_while_these_still_can() -> None:
    """B needs 2 of the 8 slots and c another 3: a must end by slot 3."""
    a, b, c = build.job("a"), build.job("b", after=("a",)), build.job("c", 3.0, after=("b",))
    assert latest_ends(build.problem(a, b, c)) == {"a": 3, "b": 5, "c": 8}
    ranked = by_precedence((c, b, a), lambda job: (job.work,))
    assert [job.name for job in ranked] == ["a", "b", "c"]


def test_a_bad_start_is_not_kept_for_lack_of_trying() -> None:
    """Scarce GPUs: what loses most when left out is served first."""
    points = (build.point(gpus=4),)
    cheap = build.job("cheap", 8.0, points=points, unserved_eur=10.0)
    dear = replace(cheap, name="dear", unserved_eur=500.0, work=7.0)
    assert set(starts(greedy(build.problem(cheap, dear)))) == {"dear"}


def test_exporting_at_the_very_limit_may_exceed_it_by_rounding() -> None:
    """What batteries feed in is a sum of products: it is not the limit to the last bit."""
    site = build.site(grid=build.grid(sell=50.0, export_kw=0.3))
    tariff = tariff_of(build.problem(sites=[site]), site)
    fed_in = np.full(build.N_SLOTS, -(0.1 + 0.2))
    assert fed_in[0] < -0.3
    assert tariff.eur(fed_in, np.zeros(0), 1) == pytest.approx(-0.3 * 0.05)
    assert np.isinf(tariff.eur(fed_in - 0.001, np.zeros(0), 1)).all()


def test_where_batteries_feed_in_too_much_a_job_that_takes_it_costs_nothing() -> None:
    """2 kW are discharged and none may be exported: 3 kW of job are welcome, 1 kW does not do."""
    problem = build.problem(sites=[build.site(grid=build.grid(export_kw=0.0))])
    room, discharge = Room.of(problem), np.full((1, build.N_SLOTS), -2.0)
    costs = marginal_cost(room, tariffs_of(problem), discharge)
    assert costs.eur(0, 3.0) == pytest.approx(0.0)
    assert np.isinf(costs.eur(0, 1.0)).all()
