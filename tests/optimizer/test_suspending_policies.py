"""Policies that suspend and resume: the slots a job runs in, worked out by hand."""

from __future__ import annotations

import pytest

from optimizer.baselines import Policy, suspend_resume, wait_awhile
from optimizer.jobs import Pausing, Pin
from optimizer.plan import Plan
from optimizer.problem import Problem
from optimizer.verify import verify
from tests.optimizer import build

TWO_DIPS = [50, 10, 50, 10, 50, 50, 50, 50]  # three tenths of these are below 50


def alone(price: list[float], work: float = 2.0, **changes: object) -> Problem:
    """One job that may pause freely, at one site with these prices."""
    job = build.job(work=work, **({"pausing": Pausing()} | changes))
    return build.problem(job, sites=[build.site(price=price)])


def pieces(policy: Policy, problem: Problem) -> list[tuple[int, int]]:
    """First slot of each run of the first job, and the slot after its last; all verified."""
    plan: Plan = policy(problem)
    assert verify(problem, plan) == ()
    return [(run.start_slot, run.end_slot) for run in plan.placements[0].runs]


def test_it_runs_below_the_threshold_and_is_suspended_else() -> None:
    """Two slots cost 10, all others 50: these two."""
    assert pieces(suspend_resume, alone(TWO_DIPS)) == [(1, 2), (3, 4)]


def test_once_no_time_is_left_it_runs_whatever_it_costs() -> None:
    """Three hours of work by slot 5: it waits in 0 and 2, and may not wait in 4."""
    assert pieces(suspend_resume, alone(TWO_DIPS, 3.0, deadline_slot=5)) == [(1, 2), (3, 5)]


def test_the_threshold_is_a_quantile_of_the_hours_ahead_of_its_coming() -> None:
    """Of 50 and 40, three tenths are 43: slot 1 is below, though far from the cheapest."""
    problem = alone([50, 40, 30, 10, 10, 10, 10, 10])
    near = suspend_resume(problem, look_ahead_hours=2.0).placements[0]
    low = suspend_resume(problem, quantile=0.8).placements[0]
    assert (near.start_slot, near.end_slot) == (1, 3)
    assert (low.start_slot, low.end_slot) == (2, 4)


def test_a_job_that_may_not_pause_starts_in_the_first_slot_below_and_runs_through() -> None:
    """Without pausing, or with no pause left to it."""
    for pausing in (None, Pausing(max_pauses=0)):
        assert pieces(suspend_resume, alone(TWO_DIPS, pausing=pausing)) == [(1, 3)]


def test_a_piece_lasts_as_long_as_it_must() -> None:
    """Pieces of two hours: it runs on through slot 2, and goes on in slots 4 and 5."""
    problem = alone([50, 10, 50, 50, 10, 10, 50, 50], 4.0, pausing=Pausing(min_run_slots=2))
    assert pieces(suspend_resume, problem) == [(1, 3), (4, 6)]


def test_a_restart_takes_the_slots_it_takes() -> None:
    """The second piece works an hour, after a slot that does none."""
    problem = alone(TWO_DIPS, pausing=Pausing(restart_slots=1))
    assert pieces(suspend_resume, problem) == [(1, 2), (3, 5)]


def test_it_stops_no_more_often_than_it_may() -> None:
    """One pause is used up after slot 1, so from slot 3 on it runs to its end."""
    problem = alone(TWO_DIPS, 3.0, pausing=Pausing(max_pauses=1))
    assert pieces(suspend_resume, problem) == [(1, 2), (3, 5)]


def test_where_the_gpus_are_gone_it_waits_too() -> None:
    """Slots 0 to 2 are below; in slot 1 no GPU is there, so the last hour is run at the end."""
    site = build.site(
        price=[10, 10, 10, 50, 50, 50, 50, 50], pools=(build.pool(gpus=[4, 0, 4, 4, 4, 4, 4, 4]),)
    )
    problem = build.problem(build.job(work=3.0, pausing=Pausing()), sites=[site])
    assert pieces(suspend_resume, problem) == [(0, 1), (2, 3), (7, 8)]


def test_a_job_the_rule_leaves_no_room_for_runs_as_early_as_it_can() -> None:
    """It would wait until slot 6, when the GPUs are gone."""
    site = build.site(price=50.0, pools=(build.pool(gpus=[0, 4, 4, 4, 4, 4, 0, 0]),))
    problem = build.problem(build.job(), sites=[site])
    assert pieces(suspend_resume, problem) == [(1, 3)]


def test_a_running_job_goes_on_as_long_as_it_is_pinned() -> None:
    """It runs in slot 0, whatever that costs, and is then suspended until slot 2 is cheap."""
    pin = Pin("A/full", 0, 1, is_running=True)
    problem = alone([50, 50, 10, 50, 50, 50, 50, 50], pin=pin)
    assert pieces(suspend_resume, problem) == [(0, 1), (2, 3)]


def test_wait_awhile_runs_in_the_cheapest_slots_the_earlier_of_equal_ones() -> None:
    """1, 2 and 3 are the lowest three; of five slots at 9 it takes none."""
    assert pieces(wait_awhile, alone([9, 1, 8, 2, 7, 3, 9, 9], 3.0)) == [(1, 2), (3, 4), (5, 6)]
    assert pieces(wait_awhile, alone([9, 5, 9, 5, 5, 9, 9, 9])) == [(1, 2), (3, 4)]


def test_wait_awhile_runs_a_job_that_may_not_pause_in_its_cheapest_window() -> None:
    """1 + 8 + 2 is less than any other three in a row."""
    assert pieces(wait_awhile, alone([9, 1, 8, 2, 7, 3, 9, 9], 3.0, pausing=None)) == [(1, 4)]


@pytest.mark.parametrize(
    "pausing",
    [Pausing(restart_eur=100.0), Pausing(min_run_slots=3), Pausing(max_pauses=0)],
    ids=["dear restarts", "long pieces", "no pauses"],
)
def test_wait_awhile_counts_what_pausing_costs_and_asks_for(pausing: Pausing) -> None:
    """No saving of a few cents is worth a restart of 100 EUR; nor are pieces cut short."""
    assert pieces(wait_awhile, alone([9, 1, 8, 2, 7, 3, 9, 9], 3.0, pausing=pausing)) == [(1, 4)]
