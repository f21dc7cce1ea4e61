"""Baselines: what the policies decide, worked out by hand, and that they stand verification."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.baselines import BASELINES, lowest_window, run_now
from optimizer.dispatch import StorageFlows, dispatch, idle_dispatch
from optimizer.jobs import InputData, Pausing, Pin
from optimizer.plan import Rung
from optimizer.problem import Link, Problem, Weights
from optimizer.verify import verify
from tests.optimizer import build


def starts(problem: Problem) -> dict[str, tuple[str, int]]:
    """Site and start of every job that run-now serves."""
    return {p.job: (p.site, p.start_slot) for p in run_now(problem).placements}


def test_jobs_run_as_early_as_gpus_are_free_in_order_of_release_priority_position() -> None:
    """A pool of two GPUs: urgent before first although listed later, late last."""
    points = (build.point(gpus=2),)
    problem = build.problem(
        build.job("late", points=points, release_slot=1),
        build.job("first", points=points),
        build.job("urgent", points=points, priority=2.0),
        sites=[build.site(pools=(build.pool(gpus=2),))],
    )
    assert starts(problem) == {"urgent": ("A", 0), "first": ("A", 2), "late": ("A", 4)}


def test_a_job_waits_for_the_one_before_it_whatever_its_rank() -> None:
    """B is more urgent, but comes after a."""
    problem = build.problem(build.job("b", after=("a",), priority=9.0), build.job("a"))
    assert starts(problem) == {"a": ("A", 0), "b": ("A", 2)}


def test_pinned_jobs_hold_their_place_before_all_others() -> None:
    """The running job goes on for a slot; the one that came first waits for it."""
    points = (build.point(gpus=4),)
    running = build.job("run", 1.0, points=points, pin=Pin("A/full", 0, 1, is_running=True))
    problem = build.problem(build.job("first", points=points, priority=5.0), running)
    assert starts(problem) == {"run": ("A", 0), "first": ("A", 1)}


def test_of_equal_starts_the_site_of_the_data_wins_then_the_emptier_pool() -> None:
    """Its data lies at B; without data, A has only two GPUs free while the big job runs."""
    both = (build.point("A/full"), build.point("B/full"))
    problem = build.problem(
        build.job("big", points=(build.point("A/two", gpus=2),)),
        build.job("with-data", points=both, data=InputData("A", 10.0)),
        build.job("free", points=both),
        sites=[build.site("A"), build.site("B", pools=(build.pool(gpus=3),))],
        links=(Link("A", "B", 1000.0),),
    )
    assert starts(problem) == {"big": ("A", 0), "with-data": ("A", 0), "free": ("B", 0)}


def test_a_pausable_job_runs_in_one_piece_and_one_that_stands_paused_restarts() -> None:
    """Two hours of work and a restart slot: three slots in a row."""
    job = build.job(pausing=Pausing(restart_slots=1), had_started=True)
    (placement,) = run_now(build.problem(job)).placements
    assert placement == build.placed("job", ("A/full", 0, 3))


def test_nothing_starts_where_the_connection_cannot_carry_it() -> None:
    """3 kW are the limit: two jobs of 2 kW run one after the other."""
    points = (build.point(power_kw=2.0),)
    problem = build.problem(
        build.job("a", points=points),
        build.job("b", points=points),
        sites=[build.site(grid=build.grid(import_kw=3.0))],
    )
    assert starts(problem) == {"a": ("A", 0), "b": ("A", 2)}
    assert run_now(problem).violations == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"work": 9.0},
            "it needs 9 slots from slot 0 on, and its deadline leaves 8: 1 too few",
        ),
        (
            {"points": (build.point(gpus=6),)},
            "it needs 6 GPUs of pool A/gpu, and at most 4 are free in slots 0 to 7: 2 too few",
        ),
        (
            {"points": (build.point(power_kw=2000.0),)},
            "it adds 2000 kW of IT load, and the supply of A carries at most 1000 more in"
            " slots 0 to 7: 1000 kW too little",
        ),
        (
            {"data": InputData("B", 1.0)},
            "no link leads from B, where its 1 GB of input lie, to site A",
        ),
    ],
)
def test_an_unserved_job_names_the_limit_and_by_how_much(
    changes: dict[str, object], reason: str
) -> None:
    """Too little time, too few GPUs, too little power, no way for its data."""
    job = build.job(**({"work": 2.0} | changes))
    plan = run_now(build.problem(job, sites=[build.site("A"), build.site("B")]))
    assert [left_out.reason for left_out in plan.unserved] == [reason]


def test_jobs_after_an_unserved_one_are_unserved_for_that_reason() -> None:
    """Nothing is dropped silently."""
    problem = build.problem(build.job("a", 9.0), build.job("b", after=("a",)))
    assert run_now(problem).unserved[1].reason == "it must wait for job a, which is not served"


def test_lowest_window_waits_for_the_cheapest_window_of_energy_fees_and_carbon() -> None:
    """Slots 5-6 cost 80 + 0; slots 1-2 cost 10 but emit 1 t/MWh at 100 EUR/t."""
    grid = build.grid([90, 10, 10, 90, 90, 80, 80, 90], carbon=[0, 1000, 1000, 0, 0, 0, 0, 0])
    priced = Weights(carbon_eur_per_t=100.0)
    for weights, start in ((Weights(), 1), (priced, 5)):
        problem = build.problem(build.job(), sites=[build.site(grid=grid)], weights=weights)
        (placement,) = lowest_window(problem).placements
        assert placement.start_slot == start


def test_lowest_window_leaves_time_for_the_jobs_that_follow() -> None:
    """The cheapest slots are the last, but b still has to run after a."""
    problem = build.problem(
        build.job("a"),
        build.job("b", after=("a",)),
        sites=[build.site(price=[9, 8, 7, 6, 5, 4, 3, 2])],
    )
    placed = {p.job: p.start_slot for p in lowest_window(problem).placements}
    assert placed == {"a": 4, "b": 6}


def rich() -> Problem:
    """Two sites with every kind of asset and jobs of several kinds, one impossible."""
    site = build.site(
        price=[50, -20, 80, 60, 40, 30, 90, 10],
        base_kw=1.0,
        pue=1.2,
        pools=(build.pool(idle_kw_per_gpu=0.1),),
        renewables=(build.solar([0, 0, 4, 8, 8, 4, 0, 0]),),
        storage=(build.battery(soc_floor_kwh=4.0),),
        generators=(build.generator(),),
        peaks=(build.peak(),),
    )
    points = (build.point(power_kw=3.0), build.point("B/full", power_kw=2.0))
    return build.problem(
        build.job("a", points=points, pausing=Pausing(restart_kwh=1.0)),
        build.job("b", points=points, after=("a",), data=InputData("B", 10.0)),
        build.job("c", 20.0, can_wait=True),
        build.job("d", points=points, pin=Pin("A/full", 0, 2, is_running=True)),
        sites=[site, build.site("B", grid=build.grid(70.0, import_kw=4.0))],
        links=(Link("B", "A", 10.0, 0.1, 0.1),),
    )


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_stands_verification(name: str) -> None:
    """It is a plan like any other, only that nothing is proven about it."""
    plan = BASELINES[name](rich())
    assert verify(rich(), plan) == ()
    assert (plan.rung, plan.bound) == (Rung.BASELINE, None)
    assert [left_out.job for left_out in plan.unserved if left_out.is_deferred] == ["c"]


def test_idle_dispatch_uses_own_sun_first_and_exports_the_rest_where_that_pays() -> None:
    """3 kW of load, 5 kW of sun: 2 kW surplus are sold at 40 EUR/MWh and curtailed at 0."""
    site = build.site(
        base_kw=3.0,
        grid=build.grid(sell=[40, 0, 0, 0, 0, 0, 0, 0]),
        renewables=(build.solar([2, 2, 0, 0, 0, 0, 0, 0], "a"), build.solar(3.0, "b")),
        storage=(build.battery(),),
    )
    (flow,) = idle_dispatch(build.problem(sites=[site]), ())
    assert flow.export_kw[:3] == (2.0, 0.0, 0.0)
    assert [plant[:3] for plant in flow.renewable_kw] == [(2.0, 2.0, 0.0), (3.0, 1.0, 3.0)]
    assert flow.import_kw == (0.0,) * 8
    assert flow.soc_kwh == ((10.0,) * 8,)


@pytest.mark.parametrize(
    ("base_kw", "import_kw", "generator_kw", "shortfall_kw"),
    [
        (4.0, 4.0, 0.0, 0.0),
        (9.0, 4.0, 5.0, 0.0),
        (5.0, 3.0, 2.0, 0.0),  # its minimum load of 2 kW pushes the import down
        (20.0, 4.0, 10.0, 6.0),
    ],
)
def test_generators_run_only_where_the_connection_is_not_enough(
    base_kw: float, import_kw: float, generator_kw: float, shortfall_kw: float
) -> None:
    """4 kW from the grid, then 2 to 10 kW from the generator, then a shortfall."""
    site = build.site(
        base_kw=base_kw, grid=build.grid(import_kw=4.0), generators=(build.generator(),)
    )
    (flow,) = idle_dispatch(build.problem(sites=[site]), ())
    assert flow.import_kw[0] == import_kw
    assert flow.generator_kw[0][0] == generator_kw
    assert flow.shortfall_kw[0] == shortfall_kw


def test_a_generator_too_big_for_the_load_stays_off() -> None:
    """1 kW of load and no connection: a minimum load of 2 kW would have nowhere to go."""
    site = build.site(base_kw=1.0, grid=build.grid(import_kw=0.0), generators=(build.generator(),))
    (flow,) = idle_dispatch(build.problem(sites=[site]), ())
    assert (flow.generator_kw[0][0], flow.shortfall_kw[0]) == (0.0, 1.0)


def test_batteries_do_what_they_are_told() -> None:
    """5 kW discharged against 3 kW of load: the other 2 are exported, even for nothing."""
    site = build.site(base_kw=3.0, storage=(build.battery(),))
    nothing = np.zeros((1, 8))
    discharge = np.array([[5.0, 0, 0, 0, 0, 0, 0, 0]])
    told = StorageFlows(nothing, discharge, nothing + 5.0)
    (flow,) = dispatch(build.problem(sites=[site]), (), {"A": told})
    assert (flow.export_kw[0], flow.import_kw[:2]) == (2.0, (0.0, 3.0))
