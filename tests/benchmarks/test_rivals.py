from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import pytest

from benchmarks.apart import Unmeasurable, run_apart
from benchmarks.draws import SIZES, Size
from benchmarks.found import Found, adjacent
from benchmarks.instances import drawn
from benchmarks.judge import judge
from benchmarks.rivals import at_grid_prices, at_marginal_cost, pyomo_milp
from optimizer import Plan, SolveLimits, solve

TINY = Size(12, 2, 30)


def say_nothing(_: str) -> None:
    """Keep what is being done to itself."""


@pytest.fixture(scope="module")
def optimum() -> Plan:
    """The proven optimum of the tiny instance."""
    plan = solve(drawn(TINY), SolveLimits(60.0, 0.0))
    assert plan.gap == pytest.approx(0.0, abs=1e-6)
    return plan


def found_in(plan: Plan) -> Found:
    """The places of one of our plans, as a rival would say them."""
    problem = drawn(TINY)
    row_of = {site.name: row for row, site in enumerate(problem.sites)}
    place_of = {
        one.job: (row_of[one.site], tuple(slot for slot, _ in one.slots()))
        for one in plan.placements
    }
    places = tuple(place_of.get(job.name) for job in problem.jobs)
    return Found(places, plan.objective, plan.bound, 0.0)


def test_the_judge_gives_our_plan_its_own_objective(optimum: Plan) -> None:
    """Cheapest flows for the places of an optimum are its own."""
    verdict = judge(say_nothing, TINY, found_in(optimum))
    assert verdict.breaches == ()
    assert verdict.objective_eur == pytest.approx(optimum.objective, abs=1e-6)
    assert verdict.n_unserved == len(optimum.unserved)


def test_the_judge_sees_what_a_rival_should_not_do(optimum: Plan) -> None:
    """One slot too few for a job, and ``verify`` says so."""
    found = found_in(optimum)
    rows = [row for row, place in enumerate(found.places) if place and len(place[1]) > 1]
    site, slots = found.places[rows[0]] or (0, ())
    places = list(found.places)
    places[rows[0]] = (site, slots[:-1])
    verdict = judge(say_nothing, TINY, replace(found, places=tuple(places)))
    assert any(drawn(TINY).jobs[rows[0]].name in breach for breach in verdict.breaches)


def test_the_milp_finds_the_optimum(optimum: Plan) -> None:
    """Alone, without a start and without ours."""
    found = pyomo_milp(say_nothing, TINY, 60.0)
    assert found.own_eur == pytest.approx(optimum.objective, rel=2e-4)
    assert found.bound_eur is not None
    assert found.bound_eur <= optimum.objective + 1e-6
    verdict = judge(say_nothing, TINY, found)
    assert verdict.breaches == ()
    assert verdict.objective_eur == pytest.approx(found.own_eur, rel=1e-6)


def test_a_milp_without_time_says_so() -> None:
    """Building is part of the time a rival has."""
    with pytest.raises(Unmeasurable, match=r"no time left to solve: .* variables"):
        pyomo_milp(say_nothing, TINY, 1e-3)


@pytest.mark.skipif(find_spec("ortools") is None, reason="ortools is not installed: make bench is")
def test_cp_sat_finds_the_optimum(optimum: Plan) -> None:
    """Up to its rounding of energy to steps of 10 W; in a process where there is no highspy."""
    outcome = run_apart("benchmarks.cp_sat:search", TINY, 20.0, 2, allowed_s=40.0, most_mb=2000.0)
    assert outcome.failure is None
    found = outcome.value
    verdict = judge(say_nothing, TINY, found)
    assert verdict.breaches == ()
    assert verdict.objective_eur == pytest.approx(optimum.objective, rel=2e-3)
    assert verdict.objective_eur <= found.own_eur + 1e-6
    assert found.bound_eur == pytest.approx(optimum.objective, rel=2e-3)


@pytest.mark.parametrize("policy", [at_grid_prices, at_marginal_cost])
def test_a_policy_is_no_better_than_the_optimum(policy: object, optimum: Plan) -> None:
    """And loses nothing at the judge: at worst the flows were its own."""
    assert callable(policy)
    found = policy(say_nothing, TINY, 0.0)
    verdict = judge(say_nothing, TINY, found)
    assert verdict.breaches == ()
    assert optimum.objective - 1e-6 <= verdict.objective_eur <= found.own_eur + 1e-6


def test_adjacent_slots_are_one_run() -> None:
    """Half-open, in order."""
    assert adjacent((3, 4, 5, 8, 10, 11)) == [(3, 6), (8, 9), (10, 12)]
    assert adjacent((7,)) == [(7, 8)]


def test_sizes_are_what_the_tables_say() -> None:
    """Thousands apart."""
    assert str(SIZES["L"]) == "10 000 × 10 × 168"
