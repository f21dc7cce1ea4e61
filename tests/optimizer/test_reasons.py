"""Why a job is left out: the sentence names what truly stands against it, and by how much."""

from __future__ import annotations

from typing import Any

import pytest

from optimizer import (
    Job,
    Pausing,
    Pin,
    Placement,
    Problem,
    SlotPrices,
    SolveLimits,
    Weights,
    greedy,
    solve,
)
from optimizer.baselines import run_now
from optimizer.reasons import reasons_left_out
from tests.corners import CORNERS
from tests.optimizer.build import battery, job, peak, placed, point, pool, problem, site

EXACT = SolveLimits(time_limit_s=30.0, mip_gap=0.0)
GAP = pool(gpus=(4, 4, 4, 0, 4, 4, 4, 4))


def reason(case: Problem, *placements: Placement, prices: SlotPrices | None = None) -> str:
    """Why the one job that ``placements`` leave out is left out."""
    (left_out,) = reasons_left_out(case, placements, prices)
    return left_out.reason


def test_what_is_too_dear_is_compared_with_its_value_as_the_operator_weighs_it() -> None:
    """Worth 20 EUR times 0.01; two kWh at 1 EUR/kWh cost 2 EUR."""
    case = problem(
        job(unserved_eur=20.0), sites=(site(price=1000.0),), weights=Weights(unserved=0.01)
    )
    assert reason(case) == (
        "too dear: at import prices its cheapest place, A from slot 0 to 2, costs 2.00 EUR;"
        " leaving it out costs 0.20 EUR (1.80 EUR less)"
    )


def test_a_job_that_pays_is_not_called_too_dear() -> None:
    """Its pool is free and it costs 0.20 EUR of 100: only the search can be at fault."""
    assert reason(problem(job())) == (
        "the search found no better plan with it: at import prices its cheapest place, A from"
        " slot 0 to 2, costs 0.20 EUR; leaving it out costs 100.00 EUR"
    )


def test_gpus_count_only_after_the_job_before_it() -> None:
    """Free until slot 6, but the job it waits for is done in slot 6, and then the pool is full."""
    wide = (point(gpus=4),)
    case = problem(
        job("first", 6.0), job("other", points=wide), job("then", after=("first",), points=wide)
    )
    text = reason(case, placed("first", ("A/full", 0, 6)), placed("other", ("A/full", 6, 8)))
    assert text == (
        "it needs 4 GPUs of pool A/gpu, and at most 0 are free in slots 6 to 7: 4 too few"
    )


def test_too_little_time_names_the_job_before_it() -> None:
    """It is done in slot 7, and two slots are needed."""
    case = problem(job("first", 7.0), job("then", after=("first",)))
    assert reason(case, placed("first", ("A/full", 0, 7))) == (
        "it needs 2 slots from slot 7 on, when job first before it is done, and its deadline"
        " leaves 1: 1 too few"
    )


def test_a_restart_it_begins_with_takes_its_slots() -> None:
    """Seven slots of work and two of the restart do not fit eight."""
    stands = job(work=7.0, pausing=Pausing(restart_slots=2), had_started=True)
    assert "needs 9 slots" in reason(problem(stands))


def test_idle_power_is_saved_and_lateness_is_paid() -> None:
    """1 kW less 0.5 idle for two slots at 0.1, and two slots late at 5 EUR each."""
    case = problem(
        job(unserved_eur=1.0, release_slot=4, due_slot=4, lateness_eur_per_slot=5.0),
        sites=(site(pools=(pool(idle_kw_per_gpu=0.5),)),),
    )
    assert "costs 10.10 EUR; leaving it out costs 1.00 EUR" in reason(case)


def test_slot_prices_count_gpus() -> None:
    """At 3 EUR per GPU-hour and nothing for energy, two hours cost 6 EUR."""
    prices = SlotPrices(((0.0,) * 8,), (((3.0,) * 8,),))
    text = reason(problem(job(unserved_eur=5.0)), prices=prices)
    assert "at the plan's slot prices" in text
    assert "costs 6.00 EUR" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"work": 3.0, "pin": Pin("A/full", 1, 1)},
            "it needs 3 slots in a row with 1 GPUs of pool A/gpu; in slots 1 to 3 at most 2 are"
            " left (not slot 3): 1 too few",
        ),
        (
            {"work": 5.0, "pausing": Pausing(max_pauses=0)},
            "it needs 5 slots in a row with 1 GPUs of pool A/gpu; in slots 0 to 7 at most 4 are"
            " left (not slot 3): 1 too few",
        ),
        (
            {"work": 6.0, "pausing": Pausing(min_run_slots=5)},
            "it needs 5 slots in a row for each of its runs with 1 GPUs of pool A/gpu; in slots 0"
            " to 7 at most 4 are left (not slot 3): 1 too few",
        ),
        (
            {"work": 8.0, "pausing": Pausing()},
            "it needs 8 slots in runs long enough with 1 GPUs of pool A/gpu; in slots 0 to 7 at"
            " most 7 are left (not slot 3): 1 too few",
        ),
        (
            {"work": 5.0, "pausing": Pausing(), "pin": Pin("A/full", 1, 3)},
            "it is pinned in slots 1 to 3 with 1 GPUs of pool A/gpu, and slot 3 has not as much",
        ),
        (
            {"pin": Pin("A/full", 1, 1), "release_slot": 3},
            "it is pinned to start in slot 1, but may not start before slot 3: 2 slots too late",
        ),
    ],
)
def test_a_gap_in_the_pool_is_named_with_its_slot(changes: dict[str, Any], words: str) -> None:
    """Slot 3 has no GPU."""
    assert reason(problem(job(**changes), sites=(site(pools=(GAP,)),))) == words


@pytest.mark.parametrize("corner", [name for name in CORNERS if name.startswith("gap in a pool")])
def test_the_exact_plan_gives_these_reasons(corner: str) -> None:
    """The job that meets the gap is told of slot 3."""
    reasons = {left.job: left.reason for left in solve(CORNERS[corner], EXACT).unserved}
    assert "(not slot 3)" in reasons["a"]


def test_greedy_tells_what_stands_against_a_job_in_the_plan_it_returns() -> None:
    """Not what stood against it in an order that was dropped, or before jobs were moved."""
    dear: dict[str, Job] = {
        "worth less than its peak": job("small", unserved_eur=0.5),
        "pausable, in a full pool": job("wide", 5.0, points=(point(gpus=4),), pausing=Pausing()),
    }
    case = problem(
        *(job(f"j{k}", 4.0, points=(point(gpus=2),)) for k in range(2)),
        *dear.values(),
        sites=(site(peaks=(peak(charge_eur_per_kw=10.0),), storage=(battery(),)),),
    )
    plan = greedy(case)
    left_out = {left.job: left.reason for left in plan.unserved}
    assert left_out
    for name, text in left_out.items():
        assert text.startswith("too dear: added to the plan,") == (name == "small"), text


def test_a_baseline_tells_what_stands_against_its_own_way_of_running() -> None:
    """Run-now does not pause: five slots in a row, though a pausable job could do without."""
    case = problem(job(work=5.0, pausing=Pausing()), sites=(site(pools=(GAP,)),))
    (left_out,) = run_now(case).unserved
    assert "5 slots in a row" in left_out.reason
