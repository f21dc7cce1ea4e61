"""Explanations: what a job costs where it stands, and what stands against every alternative."""

from __future__ import annotations

import time

import pytest

from optimizer.dispatch import idle_dispatch, settled_plan
from optimizer.explain import Alternative, Explainer, Explanation, explain
from optimizer.jobs import InputData, Pausing, Pin
from optimizer.plan import Placement, Plan, Rung, SlotPrices, Unserved
from optimizer.problem import Link, Problem, Weights
from tests.optimizer import build
from tests.optimizer.build import plan_of

TWO_SITES = (
    build.site("A", price=100.0, grid=build.grid(100.0, carbon=500.0)),
    build.site("B", grid=build.grid([300, 300, 300, 300, 50, 50, 300, 300], carbon=200.0)),
)
BOTH = (build.point("A/full", power_kw=10.0), build.point("B/full", power_kw=10.0))


def find(explanation: Explanation, what: str) -> list[Alternative]:
    """Alternatives that answer one question."""
    return [other for other in explanation.alternatives if other.what == what]


def test_cost_and_carbon_where_it_stands_and_elsewhere() -> None:
    """20 kWh: 2 EUR and 10 kg at A; 1 EUR and 4 kg at B in its cheap slots."""
    problem = build.problem(build.job(points=BOTH), sites=TWO_SITES)
    told = explain(problem, plan_of(problem, build.placed("job", ("A/full", 2, 4))), "job")
    assert (told.cost_eur, told.carbon_kg) == (pytest.approx(2.0), pytest.approx(10.0))
    assert told.at_slot_prices is False
    (at_b,) = find(told, "at site B")
    assert (at_b.start_slot, at_b.end_slot, at_b.point) == (4, 6, "B/full")
    assert at_b.extra_eur == pytest.approx(-1.0)
    assert at_b.extra_kg == pytest.approx(-6.0)
    assert at_b.blocked_by == ()


def test_slot_prices_of_the_plan_count_gpus_too() -> None:
    """2 hours at 10 kW and 0.5 EUR/kWh, and a GPU at 3 EUR/h: 16 EUR."""
    problem = build.problem(build.job(points=(build.point(power_kw=10.0),)))
    placement = build.placed("job", ("A/full", 0, 2))
    prices = SlotPrices(((0.5,) * 8,), (((3.0,) * 8,),))
    flows = idle_dispatch(problem, [placement])
    plan = settled_plan(problem, Rung.EXACT, [placement], (), flows)
    plan = Plan(**{f: getattr(plan, f) for f in plan.__dataclass_fields__} | {"prices": prices})
    told = explain(problem, plan, "job")
    assert told.at_slot_prices is True
    assert told.cost_eur == pytest.approx(16.0)


def test_own_terms_are_part_of_the_cost() -> None:
    """Restart 4, data 3 (weight 2), lateness 5 EUR on 1 kWh per slot at 100 EUR/MWh."""
    job = build.job(
        points=(build.point("B/full"),),
        pausing=Pausing(restart_eur=4.0),
        data=InputData("A", 30.0),
        due_slot=4,
        lateness_eur_per_slot=5.0,
    )
    problem = build.problem(
        job,
        sites=[build.site("A"), build.site("B")],
        links=(Link("A", "B", 30.0, eur_per_gb=0.1),),
        weights=Weights(data_transfer=2.0),
    )
    placement = build.placed("job", ("B/full", 1, 2), ("B/full", 4, 5))
    told = explain(problem, plan_of(problem, placement), "job")
    assert told.cost_eur == pytest.approx(0.2 + 4.0 + 6.0 + 5.0)


def blocked(problem: Problem, *placements: Placement) -> tuple[str, ...]:
    """What keeps the job called ``job`` from starting as early as possible."""
    told = explain(problem, plan_of(problem, *placements), "job")
    (soonest,) = find(told, "as early as possible")
    return soonest.blocked_by


def test_full_gpus_block_by_slot_and_number() -> None:
    """The other job holds 4 of 4 GPUs in slot 0 and 2."""
    other = build.job("other", points=(build.point(gpus=4),), pausing=Pausing())
    job = build.job("job", 3.0, points=(build.point(gpus=2),))
    assert blocked(
        build.problem(job, other),
        build.placed("other", ("A/full", 0, 1), ("A/full", 2, 3)),
        build.placed("job", ("A/full", 3, 6)),
    ) == ("GPUs of A/gpu are full from slot 0 to slot 1, from slot 2 to slot 3 (2 too few)",)


def test_the_supply_of_the_site_blocks_by_power() -> None:
    """Two jobs of 2 kW behind a connection of 3 kW."""
    points = (build.point(power_kw=2.0),)
    problem = build.problem(
        build.job("job", points=points),
        build.job("other", points=points),
        sites=[build.site(grid=build.grid(import_kw=3.0))],
    )
    assert blocked(
        problem, build.placed("other", ("A/full", 0, 2)), build.placed("job", ("A/full", 2, 4))
    ) == ("the supply of A cannot carry it from slot 0 to slot 2: 1.0 kW too little",)


def test_precedence_blocks_in_both_directions() -> None:
    """It must wait for one job, and another waits for it."""
    chain = (
        build.job("before"),
        build.job("job", after=("before",)),
        build.job("after", after=("job",)),
    )
    problem = build.problem(*chain, sites=[build.site(price=[9, 9, 8, 8, 8, 8, 1, 1])])
    plan = plan_of(
        problem,
        build.placed("before", ("A/full", 0, 2)),
        build.placed("job", ("A/full", 3, 5)),
        build.placed("after", ("A/full", 5, 7)),
    )
    told = explain(problem, plan, "job")
    (soonest,) = find(told, "as early as possible")
    assert soonest.blocked_by == ("job before, which it must wait for, ends at slot 2",)
    (cheapest,) = (a for a in find(told, "at site A") if a.blocked_by)
    assert cheapest.start_slot == 6
    assert cheapest.blocked_by == ("job after, which waits for it, starts at slot 5",)


def test_deadline_and_data_rule_out_a_site_altogether() -> None:
    """B is too slow for the window; no link leads to C."""
    job = build.job(
        points=(
            build.point("A/full"),
            build.point("B/slow", work_per_hour=0.1),
            build.point("C/full"),
        ),
        data=InputData("A", 1.0),
    )
    problem = build.problem(
        job, sites=[build.site(name) for name in "ABC"], links=(Link("A", "B", 100.0),)
    )
    told = explain(problem, plan_of(problem, build.placed("job", ("A/full", 0, 2))), "job")
    elsewhere = [a for a in told.alternatives if a.site != "A"]
    ruled_out = {a.site: (a.start_slot, a.blocked_by) for a in elsewhere}
    assert ruled_out == {
        "B": (None, ("its window is too short there",)),
        "C": (None, ("no link brings its data there",)),
    }
    assert "It cannot run at site C: no link brings its data there." in told.reason


def test_another_operating_point_is_an_alternative() -> None:
    """Capped, it takes twice as long at a third of the power: 1.33 kWh instead of 2."""
    points = (build.point(), build.point("A/capped", power_kw=1 / 3, work_per_hour=0.5))
    problem = build.problem(build.job(points=points))
    told = explain(problem, plan_of(problem, build.placed("job", ("A/full", 0, 2))), "job")
    capped = next(a for a in told.alternatives if a.point == "A/capped")
    assert (capped.start_slot, capped.end_slot) == (0, 4)
    assert capped.extra_eur == pytest.approx(-0.2 + 0.4 / 3)


def test_the_next_best_start_at_the_same_point_is_an_alternative() -> None:
    """It runs in the cheapest hours; an hour later it costs 0.01 EUR and 0.1 kg more."""
    site = build.site(
        grid=build.grid(
            [90, 90, 20, 20, 30, 30, 90, 90], carbon=[500, 500, 100, 100, 200, 200, 500, 500]
        )
    )
    problem = build.problem(build.job(), sites=[site])
    told = explain(problem, plan_of(problem, build.placed("job", ("A/full", 2, 4))), "job")
    (other,) = find(told, "at another time")
    assert (other.point, other.start_slot) == ("A/full", 3)
    assert other.extra_eur == pytest.approx(0.01)
    assert other.extra_kg == pytest.approx(0.1)
    assert other.blocked_by == ()


def test_a_better_start_that_is_taken_is_told_with_what_takes_it() -> None:
    """The cheap hours are full; the next best that are free, and the full ones, are both told."""
    other = build.job("other", points=(build.point(gpus=4),))
    site = build.site(price=[50, 50, 20, 20, 30, 30, 90, 90])
    problem = build.problem(build.job(), other, sites=[site])
    plan = plan_of(
        problem, build.placed("other", ("A/full", 2, 4)), build.placed("job", ("A/full", 4, 6))
    )
    told = explain(problem, plan, "job")
    (free,) = find(told, "at another time")
    assert (free.start_slot, free.blocked_by) == (0, ())
    assert free.extra_eur == pytest.approx(0.04)
    wish = next(other for other in told.alternatives if other.blocked_by)
    assert wish.start_slot == 2
    assert wish.blocked_by == ("GPUs of A/gpu are full from slot 2 to slot 4 (1 too few)",)


def test_a_job_that_can_start_in_one_slot_only_has_no_other_time() -> None:
    """It needs its whole window."""
    problem = build.problem(build.job(work=8.0))
    told = explain(problem, plan_of(problem, build.placed("job", ("A/full", 0, 8))), "job")
    assert find(told, "at another time") == []


def test_the_reason_reads_as_english_with_units_and_the_callers_times() -> None:
    """The gist: where, what it costs and emits, what sooner would cost and what is in the way."""
    other = build.job("other", points=(build.point(gpus=4),))
    site = build.site(grid=build.grid([50, 50, 20, 20, 90, 90, 90, 90], carbon=500.0))
    problem = build.problem(build.job(points=(build.point(power_kw=100.0),)), other, sites=[site])
    plan = plan_of(
        problem, build.placed("other", ("A/full", 0, 2)), build.placed("job", ("A/full", 2, 4))
    )
    told = explain(problem, plan, "job", name_slot=lambda slot: f"{slot:02}:00")
    assert told.reason == (
        "job runs at A from 02:00 until 04:00, which costs 4.00 EUR at import prices and emits"
        " 100.0 kg CO2 (location-based average intensity)."
        " The earliest possible start, 00:00 at A (A/full), would cost 6.00 EUR more and emit"
        " 0.0 kg CO2 more, but GPUs of A/gpu are full from 00:00 to 02:00 (1 too few)."
        " The best other choice that is free, 03:00 at A (A/full), would cost 7.00 EUR more and"
        " emit 0.0 kg CO2 more."
    )


def test_a_pinned_job_has_no_alternatives() -> None:
    """It is committed; the reason says so."""
    problem = build.problem(build.job(pin=Pin("A/full", 0, 1, is_running=True)))
    told = explain(problem, plan_of(problem, build.placed("job", ("A/full", 0, 2))), "job")
    assert told.alternatives == ()
    assert "committed to this place already" in told.reason


@pytest.mark.parametrize(
    ("can_wait", "cost_eur", "words"),
    [(False, 200.0, "job is not served: no room."), (True, 100.0, "job is deferred: no room.")],
)
def test_an_unserved_job_has_its_reason_and_what_would_be_possible(
    can_wait: bool, cost_eur: float, words: str
) -> None:
    """Leaving it out costs its value times priority, or what doing it later is expected to cost."""
    problem = build.problem(build.job(can_wait=can_wait, priority=2.0))
    left_out = [Unserved("job", "no room", is_deferred=can_wait)]
    plan = settled_plan(problem, Rung.GREEDY, (), left_out, idle_dispatch(problem, ()))
    told = explain(problem, plan, "job")
    assert told.placement is None
    assert told.cost_eur == pytest.approx(cost_eur)
    assert told.reason.startswith(words)
    (at_a,) = find(told, "at site A")
    assert at_a.extra_eur == pytest.approx(0.2 - cost_eur)


def test_an_unknown_job_is_refused_by_name() -> None:
    """The caller asked for the wrong one."""
    problem = build.problem()
    with pytest.raises(KeyError, match="ghost"):
        explain(problem, plan_of(problem), "ghost")


def test_an_explanation_takes_milliseconds() -> None:
    """150 jobs at two sites; the bound leaves room for a slow machine."""
    jobs = [build.job(f"job-{i}", points=BOTH) for i in range(150)]
    many = (build.site("A", pools=(build.pool(gpus=200),)), TWO_SITES[1])
    problem = build.problem(*jobs, sites=many)
    plan = plan_of(problem, *(build.placed(job.name, ("A/full", 0, 2)) for job in jobs))
    began = time.perf_counter()
    explain(problem, plan, "job-7")
    assert time.perf_counter() - began < 0.5


def test_one_explainer_tells_of_every_job_what_explain_tells() -> None:
    """Each job is put back where it was before the next one is taken out."""
    jobs = [build.job(f"j{k}", points=(build.point(gpus=2),)) for k in range(3)]
    last = build.job("last", after=("j0",))
    problem = build.problem(*jobs, last)
    plan = plan_of(
        problem,
        *(build.placed(f"j{k}", ("A/full", 2 * k, 2 * k + 2)) for k in range(2)),
        build.placed("last", ("A/full", 6, 8)),
    )
    explainer = Explainer.of(problem, plan)
    for _ in range(2):
        for job in problem.jobs:
            assert explainer.explain(job.name) == explain(problem, plan, job.name)
