"""Plans made anew from an older one: what still holds stays, and room is made for the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizer.jobs import Announced
from optimizer.placements.columns import Columns
from optimizer.plan import Plan
from optimizer.problem import Problem
from optimizer.progress import SolveLimits
from optimizer.solving.ascent import import_prices
from optimizer.solving.column_master import ColumnMaster
from optimizer.solving.generated import solve_generated
from optimizer.solving.insertion import Filling, gpus_of
from optimizer.solving.squeezing import squeeze_in
from optimizer.verify import verify
from tests.optimizer import build
from tests.optimizer.crowd import crowd

CHURN_EUR = 0.2
"""For a job whose start or site changes."""


def no_clock() -> float:
    """Time that never passes."""
    return 0.0


@pytest.fixture(scope="module")
def older() -> Plan:
    """The plan of the crowd."""
    return solve_generated(crowd(), SolveLimits(60.0, 1e-2), None, no_clock)


def announced(problem: Problem, plan: Plan) -> Problem:
    """Every job of ``plan`` was told its site and start, and moving it costs something."""
    told = {placed.job: Announced(placed.site, placed.start_slot) for placed in plan.placements}
    return replace(
        problem,
        jobs=tuple(replace(job, announced=told.get(job.name)) for job in problem.jobs),
        weights=replace(problem.weights, churn_eur_per_job=CHURN_EUR),
    )


def replan(problem: Problem, older: Plan) -> Plan:
    """Plan ``problem`` from an older plan; the plan is verified."""
    plan = solve_generated(problem, SolveLimits(60.0, 2e-2), None, no_clock, older=older)
    assert verify(problem, plan) == ()
    return plan


def moved(older: Plan, newer: Plan) -> set[str]:
    """Names of jobs that do not stand where ``older`` has them."""
    where = {placed.job: placed for placed in newer.placements}
    return {placed.job for placed in older.placements if where.get(placed.job) != placed}


def test_a_problem_that_did_not_change_keeps_its_plan(older: Plan) -> None:
    """Nobody is moved for nothing."""
    newer = replan(announced(crowd(), older), older)
    assert moved(older, newer) == set()
    assert newer.objective <= older.objective + 1e-9


def test_one_more_job_is_put_in_and_few_move(older: Plan) -> None:
    """It takes a third of a site for five hours."""
    problem = announced(crowd(), older)
    points = tuple(build.point(f"{site}/4", gpus=4, power_kw=2.0) for site in ("A", "B"))
    one_more = build.job("one more", 5.0, points=points, release_slot=2, deadline_slot=14)
    newer = replan(replace(problem, jobs=(*problem.jobs, one_more)), older)
    assert not newer.unserved
    assert len(moved(older, newer)) <= 6


def test_jobs_of_a_lost_pool_go_elsewhere_and_the_others_stay(older: Plan) -> None:
    """Site B loses three of its twelve GPUs for the second half of the day."""
    problem = announced(crowd(), older)
    left = build.pool(gpus=[12.0] * 12 + [9.0] * 12, n_slots=24)
    sites = (problem.sites[0], replace(problem.sites[1], pools=(left,)))
    newer = replan(replace(problem, sites=sites), older)
    at_b = {placed.job for placed in older.placements if placed.site == "B"}
    assert len(moved(older, newer) - at_b) <= 6


@pytest.mark.parametrize(("factor", "is_worth_it"), [(1.2, False), (5.0, True)])
def test_dear_energy_at_a_site_moves_jobs_if_they_save_more_than_moving_costs(
    older: Plan, factor: float, is_worth_it: bool
) -> None:
    """A job costs 0.40 EUR on average: a fifth of that is not worth moving it."""
    problem = announced(crowd(), older)
    a = problem.sites[0]
    dear = tuple(factor * price for price in a.grid.import_price_eur_per_mwh)
    changed = replace(a, grid=replace(a.grid, import_price_eur_per_mwh=dear))
    problem = replace(problem, sites=(changed, problem.sites[1]))
    limits = SolveLimits(60.0, 2e-2)
    unmoved = solve_generated(problem, limits, lambda _: False, no_clock, older=older)
    assert moved(older, unmoved) == set()
    newer = replan(problem, older)
    assert (newer.terms.churned_jobs > 0) is is_worth_it
    assert (newer.objective < unmoved.objective - 1.0) is is_worth_it


def two_in_the_way() -> tuple[ColumnMaster, Filling]:
    """Four GPUs for four hours: two jobs of two GPUs run one after the other, one of four waits."""
    points = {gpus: (build.point("A/full", gpus=gpus, power_kw=float(gpus)),) for gpus in (2, 4)}
    jobs = [build.job(name, points=points[2], deadline_slot=4) for name in ("early", "late")]
    wide = build.job("wide", points=points[4], deadline_slot=4)
    site = build.site(pools=(build.pool(gpus=4, n_slots=4),), n_slots=4)
    core = ColumnMaster.of(build.problem(*jobs, wide, sites=[site], slots=build.horizon(4)))
    filling = Filling.of(core.pricing, gpus_of(core.problem), np.zeros((1, 4)))
    for job, first in ((0, 0), (1, 2)):
        option = np.flatnonzero(core.pricing.options.job == job)
        slots = np.array([first, first + 1], dtype=np.int32)
        filling.put(job, Columns.at_one_point(option, np.array([0, 2]), slots))
    return core, filling


def squeeze(core: ColumnMaster, filling: Filling, left_out_eur: float) -> None:
    """Squeeze in the third job, which costs ``left_out_eur`` if it is left out."""
    left_out = core.left_out_eur.copy()
    left_out[2] = left_out_eur
    squeeze_in(filling, np.array([2]), left_out, import_prices(core), lambda: False)


def test_jobs_in_the_way_are_put_beside_each_other() -> None:
    """Room for four GPUs at once is there only once both run in the same hours."""
    core, filling = two_in_the_way()
    assert len(filling.cheapest(2, import_prices(core), None)[1]) == 0
    squeeze(core, filling, 100.0)
    slots = {job: tuple(column.slots.tolist()) for job, column in filling.placed.items()}
    assert slots[0] == slots[1] != slots[2]
    assert filling.free_gpus.min() == 0.0


def test_nothing_is_moved_for_a_job_not_worth_it() -> None:
    """Running it costs 0.80 EUR, leaving it out less."""
    core, filling = two_in_the_way()
    before = {job: tuple(column.slots.tolist()) for job, column in filling.placed.items()}
    squeeze(core, filling, 0.5)
    assert {job: tuple(c.slots.tolist()) for job, c in filling.placed.items()} == before
