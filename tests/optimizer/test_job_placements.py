"""Where and when the model puts jobs, on cases small enough to work out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from optimizer import (
    Announced,
    InputData,
    Job,
    Link,
    Pausing,
    Pin,
    Placement,
    Plan,
    Problem,
    Run,
    SolveLimits,
    Weights,
    solve,
    verify,
)
from tests.optimizer.build import job, placed, point, pool, problem, site

EXACT = SolveLimits(time_limit_s=30.0, mip_gap=0.0)
PRICES = [50.0, 10.0, 90.0, 90.0, 20.0, 30.0, 90.0, 90.0]


def optimum(case: Problem) -> Plan:
    """The optimum, which verification accepts."""
    plan = solve(case, EXACT)
    assert verify(case, plan) == ()
    return plan


def placements(*jobs: Job, **changes: Any) -> tuple[Placement, ...]:
    """Placements of ``jobs`` at the optimum, at one site at ``PRICES`` unless said otherwise."""
    return optimum(problem(*jobs, **({"sites": (site(price=PRICES),)} | changes))).placements


def test_a_job_in_one_piece_takes_the_cheapest_window() -> None:
    """Two adjacent slots: 20 + 30 is the least."""
    assert placements(job()) == (placed("job", ("A/full", 4, 6)),)


def test_a_job_that_may_pause_takes_the_cheapest_slots() -> None:
    """10 and 20 are not adjacent; pausing is free."""
    assert placements(job(pausing=Pausing())) == (
        placed("job", ("A/full", 1, 2), ("A/full", 4, 5)),
    )


def test_a_restart_that_costs_more_than_it_saves_is_not_made() -> None:
    """Pausing saves 20 EUR/MWh on a kWh, 2 cent; a restart at 3 cent does not pay."""
    dear = job(pausing=Pausing(restart_eur=0.03))
    assert placements(dear) == (placed("job", ("A/full", 4, 6)),)


def test_a_restart_holds_its_slots_without_work() -> None:
    """Nearly three slots of work around a full pool: six run slots, one lost to the restart."""
    blocked = pool(gpus=[1, 1, 0, 1, 1, 1, 0, 0])
    paused = job(work=4.0, pausing=Pausing(restart_slots=1))
    assert placements(paused, sites=(site(price=PRICES, pools=(blocked,)),)) == (
        placed("job", ("A/full", 0, 2), ("A/full", 3, 6)),
    )


def test_pieces_last_their_minimum_and_pauses_are_limited() -> None:
    """Four slots in pieces of two: the cheap pairs 0-1 and 4-5, not the four cheapest slots."""
    paired = job(work=4.0, pausing=Pausing(min_run_slots=2, max_pauses=1))
    assert placements(paired) == (placed("job", ("A/full", 0, 2), ("A/full", 4, 6)),)


def test_no_pause_is_allowed_where_none_may_be_made() -> None:
    """With ``max_pauses=0`` it runs as a job that cannot pause."""
    assert placements(job(pausing=Pausing(max_pauses=0))) == (placed("job", ("A/full", 4, 6)),)


def test_an_elastic_job_runs_slower_where_power_is_dear() -> None:
    """Three work within slots 1 to 3: full speed at 10, capped at 90 twice."""
    points = (point("A/full"), point("A/capped", power_kw=0.4, work_per_hour=0.5))
    capped = job(
        work=2.0, points=points, is_elastic=True, release_slot=1, deadline_slot=4, unserved_eur=9
    )
    (placement,) = placements(capped)
    assert placement.runs == (Run("A/full", 1, 2), Run("A/capped", 2, 4))


def test_a_job_that_is_not_elastic_keeps_its_point() -> None:
    """The same job may only run capped or at full speed throughout."""
    points = (point("A/full"), point("A/capped", power_kw=0.4, work_per_hour=0.5))
    fixed = job(work=2.0, points=points, release_slot=1, deadline_slot=4, unserved_eur=9)
    (placement,) = placements(fixed)
    assert placement.runs == (Run("A/full", 1, 3),)


def test_a_job_waits_for_the_one_before_it() -> None:
    """The first takes the cheapest window that leaves room for the second after it."""
    first, then = job("first"), job("then", after=("first",), deadline_slot=6)
    assert placements(first, then) == (
        placed("first", ("A/full", 0, 2)),
        placed("then", ("A/full", 4, 6)),
    )


def test_a_paused_job_waits_for_the_end_of_the_one_before_it() -> None:
    """What matters is when the last slot of the first ends, not where its pieces lie."""
    first = job("first", pausing=Pausing(), deadline_slot=5)
    then = job("then", 1.0, after=("first",), deadline_slot=5, pausing=Pausing())
    assert placements(first, then) == (
        placed("first", ("A/full", 0, 2)),
        placed("then", ("A/full", 4, 5)),
    )


def test_jobs_share_gpus() -> None:
    """Two jobs of three of four GPUs cannot overlap."""
    wide = (point(gpus=3),)
    first, second = job("first", points=wide), job("second", points=wide)
    found = placements(first, second)
    assert sorted(run.start_slot for p in found for run in p.runs) == [0, 4]


def test_a_running_job_goes_on_where_it_is() -> None:
    """Pinned for two slots at a dear hour: it is not moved to the cheap ones."""
    pinned = job(work=3.0, pausing=Pausing(), pin=Pin("A/full", 0, 2, is_running=True))
    dear_start = site(price=[90, 90, 90, 90, 10, 90, 90, 90])
    assert placements(pinned, sites=(dear_start,)) == (
        placed("job", ("A/full", 0, 2), ("A/full", 4, 5)),
    )


def test_a_job_that_runs_has_started_before_any_other_can_end() -> None:
    """Running on although it waits for another is impossible: it or the order must yield."""
    first = job("first", 1.0, deadline_slot=4)
    held = Pin("A/full", 0, 1, is_running=True)
    running = job("then", after=("first",), pausing=Pausing(restart_eur=0.1), pin=held)
    plan = optimum(problem(first, running))
    assert [left.job for left in plan.unserved] == ["then"]


def test_a_restart_of_an_elastic_job_draws_its_energy_whenever_it_comes() -> None:
    """Three slots of work around a blocked pool; the restart comes after the latest first start."""
    points = (
        point("A/full", gpus=2, power_kw=1.0),
        point("A/fast", gpus=3, power_kw=9.0, work_per_hour=2.0),
    )
    blocked = pool(gpus=[2, 2, 0, 0, 0, 0, 0, 2])
    paused = job(work=3.0, points=points, is_elastic=True, pausing=Pausing(restart_kwh=5.0))
    plan = optimum(problem(paused, sites=(site(pools=(blocked,)),)))
    assert plan.flows[0].it_load_kw == pytest.approx((1, 1, 0, 0, 0, 0, 0, 6))


def test_a_job_that_has_done_its_work_stops_however_much_more_would_be_paid() -> None:
    """Paid to run, it may not restart at a point that does twice the work that is left."""
    points = (
        point("A/slow", gpus=0, work_per_hour=0.5),
        point("A/wide", gpus=2, power_kw=2.0),
        point("A/fast", gpus=0, power_kw=2.0, work_per_hour=2.0),
    )
    paid = job(
        work=1.0,
        points=points,
        is_elastic=True,
        release_slot=2,
        pausing=Pausing(min_run_slots=3, restart_slots=1, restart_eur=0.001),
    )
    plan = optimum(problem(paid, sites=(site(price=[90, 90, -80, 10, -80, -80, 200, 10]),)))
    assert plan.objective == pytest.approx(-0.08 * (1 + 2 + 2) + 0.001)


def test_a_job_that_stands_paused_pays_to_go_on() -> None:
    """It lost a slot: two slots of work take three, and the restart is counted."""
    waiting = job(pausing=Pausing(restart_slots=1, restart_eur=0.5), had_started=True)
    plan = optimum(problem(waiting, sites=(site(price=PRICES),)))
    assert plan.placements == (placed("job", ("A/full", 0, 3)),) or (
        sum(run.end_slot - run.start_slot for run in plan.placements[0].runs) == 3
    )
    assert plan.terms.restarts_eur == pytest.approx(0.5)


@pytest.mark.parametrize(("price_at_b", "expected"), [(80.0, "A"), (20.0, "B")])
def test_data_moves_only_where_the_other_site_is_cheaper_with_the_move(
    price_at_b: float, expected: str
) -> None:
    """Moving 1 GB costs 3 cent and 1 kWh at B; the run saves 2 kWh at 100 EUR/MWh at A."""
    moved = job(points=(point("A/full"), point("B/full")), data=InputData("A", 1.0))
    case = problem(
        moved,
        sites=(site("A"), site("B", price=price_at_b)),
        links=(Link("A", "B", 1.0, 0.03, 1.0),),
    )
    plan = optimum(case)
    assert plan.placements[0].site == expected
    if expected == "B":
        start = plan.placements[0].start_slot
        assert start >= 1
        assert plan.flows[1].it_load_kw[start - 1] == pytest.approx(1.0)
        assert plan.objective == pytest.approx(0.03 + 0.02 * 3)


def test_lateness_is_paid_where_waiting_saves_more() -> None:
    """Waiting until slot 4 saves 10 cent on 2 kWh and costs 3 slots at 1 or at 20 cent."""
    prices = [75, 75, 75, 75, 25, 25, 75, 75]
    patient = job(due_slot=3, lateness_eur_per_slot=0.01)
    hurried = job(due_slot=3, lateness_eur_per_slot=0.2)
    assert placements(patient, sites=(site(price=prices),))[0].start_slot == 4
    assert placements(hurried, sites=(site(price=prices),))[0].end_slot <= 3


def test_an_announced_start_is_kept_unless_moving_saves_more_than_churn_costs() -> None:
    """Moving from slot 2 to slot 4 saves 13 cent."""
    announced = job(announced=Announced("A", 2))
    for churn_eur, start_slot in ((0.2, 2), (0.05, 4)):
        weights = Weights(churn_eur_per_job=churn_eur)
        (placement,) = placements(announced, weights=weights)
        assert placement.start_slot == start_slot


def test_a_job_worth_less_than_its_energy_is_left_out_and_told_why() -> None:
    """Two kWh at 20 and 30 EUR/MWh cost 5 cent."""
    cheap = job(unserved_eur=0.01)
    (left,) = optimum(problem(cheap, sites=(site(price=PRICES),))).unserved
    assert left.job == "job"
    assert "0.05 EUR" in left.reason
    assert "0.01 EUR" in left.reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"deadline_slot": 1}, ("needs 2 slots", "leaves 1", "1 too few")),
        ({"points": (point(gpus=6),)}, ("6 GPUs of pool A/gpu", "at most 4", "2 too few")),
        (
            {"points": (point("B/full"),), "data": InputData("A", 5.0)},
            ("to site B", "no link leads from A", "5 GB"),
        ),
        ({"pin": Pin("A/full", 7, 2)}, ("needs 2 slots from slot 7 on", "leaves 1")),
        ({"pin": Pin("A/full", 1, 1), "release_slot": 3}, ("slot 1", "before slot 3")),
    ],
)
def test_a_job_without_any_placement_is_named_with_the_limit(
    changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    """Contradictory input never crashes a plan: it says what stands against the job."""
    plan = optimum(problem(job(**changes), job("other"), sites=(site("A"), site("B"))))
    (left,) = plan.unserved
    assert left.job == "job"
    for part in words:
        assert part in left.reason


def test_a_job_after_one_that_cannot_run_is_left_out_too() -> None:
    """The reason names the job it waits for."""
    first, then = job("first", deadline_slot=1), job("then", after=("first",))
    reasons = {left.job: left.reason for left in optimum(problem(first, then)).unserved}
    assert "first" in reasons["then"]


def test_the_job_worth_less_yields_and_learns_which_pool_was_full() -> None:
    """Four GPUs for two slots, two jobs of three: the dearer one stays."""
    wide = (point(gpus=3),)
    low = job("low", points=wide, deadline_slot=2, unserved_eur=5.0)
    high = job("high", points=wide, deadline_slot=2)
    (left,) = optimum(problem(low, high)).unserved
    assert left.job == "low"
    assert "pool A/gpu" in left.reason
    assert "2 too few" in left.reason


def test_a_job_that_can_wait_is_deferred_not_lost() -> None:
    """Deferring at 1 cent is cheaper than running at 5."""
    patient = job(can_wait=True, unserved_eur=0.01)
    plan = optimum(problem(patient, sites=(site(price=PRICES),)))
    assert plan.unserved[0].is_deferred
    assert plan.terms.deferred_eur == pytest.approx(0.01)
    assert plan.terms.unserved_eur == 0.0
