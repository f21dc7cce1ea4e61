"""Scaling by marginal work, and a rounded linear programme: worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.baselines import carbon_scaler, caspian, lowest_window, wait_awhile
from optimizer.baselines.elastic import fill, levels_of
from optimizer.baselines.relaxed import relaxation
from optimizer.jobs import Job, OperatingPoint, Pausing
from optimizer.problem import Problem
from optimizer.verify import verify
from tests.corners import CORNERS
from tests.optimizer import build

PRICE = [10, 30, 20, 50, 50, 50, 50, 50]
LEVELS = (
    build.point("A/one"),
    build.point("A/two", gpus=2, power_kw=2.0, work_per_hour=1.6),
)
# Cost of a unit of work [EUR/MWh]: 10 (slot 0), 16.7 (0, the second GPU), 20 (2), 30 (1),
# 33.3 (2, the second GPU), 50 ...


def elastic(work: float, **changes: object) -> Job:
    """A job that may change between one GPU and two, and pause."""
    defaults = {"points": LEVELS, "is_elastic": True, "pausing": Pausing()}
    return build.job(work=work, **(defaults | changes))


def runs(problem: Problem) -> list[tuple[str, int, int]]:
    """Runs of the first job under ``carbon_scaler``, verified."""
    plan = carbon_scaler(problem)
    assert verify(problem, plan) == ()
    return [(run.point, run.start_slot, run.end_slot) for run in plan.placements[0].runs]


def at_prices(job: Job) -> Problem:
    """The job at one site with ``PRICE``."""
    return build.problem(job, sites=[build.site(price=PRICE)])


def test_slots_and_gpus_are_taken_by_what_the_next_work_costs() -> None:
    """1.6 of work in slot 0 with both GPUs, the last 1.0 in slot 2 with one."""
    assert runs(at_prices(elastic(2.6))) == [("A/two", 0, 1), ("A/one", 2, 3)]


def test_more_work_takes_the_next_steps_up() -> None:
    """A third hour goes to slot 1 with one GPU, before a second GPU in slot 2."""
    assert runs(at_prices(elastic(3.6))) == [("A/two", 0, 1), ("A/one", 1, 3)]


def test_no_more_gpus_are_taken_than_are_left() -> None:
    """One GPU is there in slot 0: the second hour is slot 2's, the rest slot 1's."""
    site = build.site(price=PRICE, pools=(build.pool(gpus=[1, 4, 4, 4, 4, 4, 4, 4]),))
    problem = build.problem(elastic(2.6), sites=[site])
    assert runs(problem) == [("A/one", 0, 3)]


def test_work_that_restarts_lose_is_made_up_for() -> None:
    """Every change of GPUs costs a slot of work: whatever comes of it is all done, and verified."""
    problem = at_prices(elastic(2.6, pausing=Pausing(restart_slots=1)))
    plan = carbon_scaler(problem)
    assert verify(problem, plan) == ()
    assert not plan.unserved


def test_no_slot_is_run_in_that_the_work_does_not_need() -> None:
    """Made up for restarts that it then has no more of, it would run on; the last slots go."""
    problem = CORNERS["caps to change between, paused"]
    plan = carbon_scaler(problem)
    assert verify(problem, plan) == ()
    assert len(plan.placements) == 1


def test_a_problem_without_jobs_has_an_empty_plan() -> None:
    """There is no linear programme to be solved then."""
    assert caspian(build.problem()).placements == ()


def test_a_job_that_may_not_scale_waits_as_wait_awhile_does() -> None:
    """Its default point alone: slots 0 and 2."""
    problem = at_prices(elastic(2.0, is_elastic=False))
    assert runs(problem) == [("A/one", 0, 1), ("A/one", 2, 3)]
    assert carbon_scaler(problem).placements == wait_awhile(problem).placements


def test_of_two_sites_the_one_where_all_of_it_is_cheaper_is_taken() -> None:
    """B costs 15 in every slot: 2.6 of work there 39, at A 20 + 20."""
    points = (
        *LEVELS,
        build.point("B/one"),
        build.point("B/two", gpus=2, power_kw=2.0, work_per_hour=1.6),
    )
    for level, site in ((8.0, "B"), (30.0, "A")):
        sites = [build.site("A", price=PRICE), build.site("B", price=level)]
        (placement,) = carbon_scaler(
            build.problem(elastic(2.6, points=points), sites=sites)
        ).placements
        assert placement.site == site


def test_a_level_that_a_mix_of_two_others_beats_is_left_out() -> None:
    """The step to two GPUs gives 0.2 for a kWh, that on to four 1.6: one and four are left."""
    one, two, four = (
        OperatingPoint(name, "A", "gpu", gpus, kw, work)
        for name, gpus, kw, work in (("1", 1, 1.0, 1.0), ("2", 2, 2.0, 1.2), ("4", 4, 3.0, 2.8))
    )
    assert levels_of((four, two, one)) == (one, four)
    slower = OperatingPoint("slow", "A", "gpu", 1, 2.0, 0.5)
    assert levels_of((one, slower)) == (one,)


def test_where_energy_is_paid_for_all_of_a_slot_is_taken_at_once() -> None:
    """At -10 both levels pay: the higher one brings the lower, and counts its work once."""
    chosen = fill(np.array([[-10.0, 5.0, 9.0], [-20.0, 12.0, 30.0]]), [1.0, 1.6], 2.6)
    assert chosen is not None
    assert chosen.tolist() == [1, 0, -1]


def test_work_for_which_there_is_no_room_is_not_placed() -> None:
    """Two slots of 1.6 at most."""
    assert fill(np.array([[1.0, np.inf], [2.0, np.inf]]), [1.0, 1.6], 2.0) is None


def crowded() -> Problem:
    """Two jobs of all GPUs and two hours: x may run at A or B, y at A alone."""
    wide = {"gpus": 4}
    both = (build.point("A/full", **wide), build.point("B/full", **wide))
    return build.problem(
        build.job("x", points=both, deadline_slot=2),
        build.job("y", points=both[:1], deadline_slot=2),
        sites=[build.site("A", price=10.0), build.site("B", price=20.0)],
    )


def test_the_linear_programme_sees_all_jobs_at_once() -> None:
    """The first would take the cheaper A, and the second were left out; together it goes to B."""
    assert [left.job for left in lowest_window(crowded()).unserved] == ["y"]
    plan = caspian(crowded())
    assert {p.job: p.site for p in plan.placements} == {"x": "B", "y": "A"}
    assert plan.unserved == ()


def test_the_relaxation_shares_slots_out_at_least_cost_within_capacity() -> None:
    """Two jobs of an hour want slot 1 and three GPUs of four: one GPU is left for a third of one.

    Either both share it by 4/3 of an hour, and the rest, 2/3, is in slot 2, the next cheapest.
    """
    points = (build.point(gpus=3),)
    problem = build.problem(
        build.job("a", 1.0, points=points),
        build.job("b", 1.0, points=points),
        sites=[build.site(price=[9, 1, 5, 9, 9, 9, 9, 9])],
    )
    shares = relaxation(problem)
    total = shares["a"]["A"] + shares["b"]["A"]
    assert total == pytest.approx([0, 4 / 3, 2 / 3, 0, 0, 0, 0, 0], abs=1e-7)


def test_power_bounds_the_relaxation_too() -> None:
    """1.5 kW are carried, each job draws 1: half an hour of two in slot 1 is for slot 2."""
    grid = build.grid([9, 1, 5, 9, 9, 9, 9, 9], import_kw=1.5)
    problem = build.problem(build.job("a", 1.0), build.job("b", 1.0), sites=[build.site(grid=grid)])
    shares = relaxation(problem)
    total = shares["a"]["A"] + shares["b"]["A"]
    assert total == pytest.approx([0, 1.5, 0.5, 0, 0, 0, 0, 0], abs=1e-7)


def test_rounding_puts_every_job_into_whole_slots_that_are_free() -> None:
    """Of the shares above, one job has slot 1 to itself and the other slot 2."""
    points = (build.point(gpus=3),)
    problem = build.problem(
        build.job("a", 1.0, points=points),
        build.job("b", 1.0, points=points),
        sites=[build.site(price=[9, 1, 5, 9, 9, 9, 9, 9])],
    )
    plan = caspian(problem)
    assert verify(problem, plan) == ()
    assert sorted(p.start_slot for p in plan.placements) == [1, 2]
