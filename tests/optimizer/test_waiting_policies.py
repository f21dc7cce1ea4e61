"""Policies that wait once: when a job starts, worked out by hand. Prices are in EUR/MWh by slot."""

from __future__ import annotations

from functools import partial

import pytest

from optimizer.baselines import Policy, carbon_time, lowest_slot, lowest_window, wait_awhile
from optimizer.problem import Problem, Weights
from tests.optimizer import build

FALLING = [60, 50, 30, 30, 25, 25, 60, 60]
DIP = [50, 50, 10, 99, 30, 30, 50, 50]


def one_job(price: list[float], **changes: object) -> Problem:
    """A job of two hours at one site with these prices."""
    return build.problem(build.job(**changes), sites=[build.site(price=price)])


def start(policy: Policy, problem: Problem) -> int:
    """Slot in which the one job starts."""
    (placement,) = policy(problem).placements
    assert len(placement.runs) == 1
    return placement.start_slot


def test_lowest_slot_starts_in_the_cheapest_slot_whatever_follows() -> None:
    """Slot 2 costs 10, and the 99 after it are not looked at; slots 4 and 5 were cheaper."""
    assert start(lowest_slot, one_job(DIP)) == 2
    assert start(lowest_window, one_job(DIP)) == 4


def test_lowest_slot_considers_no_start_after_which_the_job_would_be_late() -> None:
    """Slot 7 is the cheapest, but two hours do not fit after it; 3 is the next."""
    assert start(lowest_slot, one_job([9, 9, 9, 5, 9, 9, 9, 1])) == 3


def test_a_policy_chooses_by_the_work_it_expects_and_the_job_runs_its_own() -> None:
    """Taken for an hour of work, the job goes to slot 2, and runs through the 99 after it."""
    (placement,) = lowest_window(one_job(DIP), expected_work={"job": 1.0}).placements
    assert (placement.start_slot, placement.end_slot) == (2, 4)


def test_starts_are_considered_so_often_counted_from_when_the_job_came() -> None:
    """Slots 3 and 4 are the cheapest; every other slot from 0 on, 4 and 5 are; from 1 on, 3."""
    price = [9, 9, 9, 1, 1, 5, 5, 9]
    every_other = partial(lowest_window, start_every_hours=2.0)
    assert start(lowest_window, one_job(price)) == 3
    assert start(every_other, one_job(price)) == 4
    assert start(every_other, one_job(price, release_slot=1)) == 3


def test_carbon_time_weighs_the_saving_against_the_time_until_the_job_is_done() -> None:
    """Savings 30, 50, 55, 60 by slots 1 to 4, done after 3, 4, 5, 6 h: 12.5 an hour is most."""
    assert start(carbon_time, one_job(FALLING)) == 2
    assert start(lowest_window, one_job(FALLING)) == 4


def test_carbon_time_counts_the_work_it_expects_for_saving_and_time() -> None:
    """Of an hour 22, 30, 50 are saved after 2, 3, 4 h: 12.5 in slot 3; of two 30, 58, 28: 14.5."""
    problem = one_job([60, 38, 30, 10, 60, 60, 60, 60])
    assert start(partial(carbon_time, expected_work={"job": 1.0}), problem) == 3
    assert start(carbon_time, problem) == 2


def test_behind_the_horizon_the_last_price_goes_on() -> None:
    """Taken for four hours, slot 6 would cost 10 + 1 + 1 + 1, the least of all."""
    problem = one_job([9, 9, 9, 9, 9, 9, 10, 1])
    assert start(partial(lowest_window, expected_work={"job": 4.0}), problem) == 6


def test_carbon_time_does_not_wait_where_nothing_is_saved() -> None:
    """Prices only rise: a saving of 0 at once is the best there is."""
    assert start(carbon_time, one_job([10, 20, 30, 40, 50, 60, 70, 80])) == 0


def test_only_carbon_counts_where_only_carbon_is_weighed() -> None:
    """Money says slot 0; a price of carbon alone says slot 6."""
    grid = build.grid([1, 1, 9, 9, 9, 9, 9, 9], carbon=[9, 9, 9, 9, 9, 9, 1, 1])
    carbon_only = Weights(energy=0.0, carbon_eur_per_t=1.0)
    for policy in (lowest_slot, lowest_window):
        for weights, slot in ((Weights(), 0), (carbon_only, 6)):
            problem = build.problem(build.job(), sites=[build.site(grid=grid)], weights=weights)
            assert start(policy, problem) == slot


@pytest.mark.parametrize("policy", [lowest_slot, lowest_window, wait_awhile])
def test_who_comes_later_takes_the_next_cheapest_that_is_left(policy: Policy) -> None:
    """Both want slots 2 and 3, and there are GPUs for one: the other takes 4 and 5."""
    points = (build.point(gpus=4),)
    problem = build.problem(
        build.job("first", points=points),
        build.job("second", points=points),
        sites=[build.site(price=[9, 9, 1, 1, 5, 5, 9, 9])],
    )
    assert {p.job: p.start_slot for p in policy(problem).placements} == {"first": 2, "second": 4}


@pytest.mark.parametrize("policy", [lowest_slot, lowest_window, carbon_time, wait_awhile])
def test_of_several_sites_the_best_by_the_rule_is_taken(policy: Policy) -> None:
    """B is cheaper in every slot, and cheapest in slots 4 and 5."""
    points = (build.point("A/full"), build.point("B/full"))
    sites = [
        build.site("A", price=[90, 90, 90, 90, 80, 80, 90, 90]),
        build.site("B", price=[70, 70, 70, 70, 10, 10, 70, 70]),
    ]
    (placement,) = policy(build.problem(build.job(points=points), sites=sites)).placements
    assert (placement.site, placement.start_slot) == ("B", 4)
