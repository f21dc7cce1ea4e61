"""Column generation: its bound is below every plan, and meets the LP of its columns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from optimizer.placements.columns import Columns
from optimizer.problem import Problem
from optimizer.progress import SolveLimits
from optimizer.solving.ascent import Ascent, ascend, import_prices, price_all
from optimizer.solving.column_master import ColumnMaster
from optimizer.solving.exact import solve_exact
from optimizer.solving.generation import Relaxation, generate
from tests.optimizer import build
from tests.strategies import problems


def generated(problem: Problem, gap: float = 1e-6) -> Relaxation:
    """The relaxation of ``problem``, from no column at all."""
    core = ColumnMaster.of(problem)
    begun = ascend(core, goes_on=lambda _bound: True)
    return generate(core, begun, Columns.none(), gap=gap, goes_on=lambda _lp, _bound: True)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems(n_jobs=(1, 4), max_slots=6, has_plant=True))
def test_the_bound_is_below_the_optimum(problem: Problem) -> None:
    """Whatever a problem holds; the optimum is the exact solver's."""
    best = solve_exact(problem, SolveLimits(60.0, 0.0), None, None)
    relaxation = generated(problem)
    slack = 1e-5 * max(1.0, abs(best.objective))
    assert relaxation.bound_eur <= best.objective + slack
    assert relaxation.bound_eur <= relaxation.lp_eur + slack


def test_the_relaxation_is_as_tight_as_every_listed_placement() -> None:
    """Jobs in one piece: the LP of generated columns costs what that of all columns costs."""
    jobs = [build.job(f"j{k}", 1.0 + k % 3, deadline_slot=8) for k in range(9)]
    problem = build.problem(*jobs)
    relaxation = generated(problem)
    assert relaxation.bound_eur == pytest.approx(relaxation.lp_eur, abs=1e-4)
    exact = solve_exact(replace(problem), SolveLimits(60.0, 0.0), None, None)
    assert relaxation.lp_eur <= exact.objective + 1e-6


def test_prices_end_when_their_time_is_up() -> None:
    """Noise shrinks as time goes by, so that three rounds are a small ascent of their own."""
    core = ColumnMaster.of(build.problem(*(build.job(f"j{k}", deadline_slot=6) for k in range(9))))
    shares = iter((0.0, 0.5, 1.0))
    bounds: list[float] = []

    def note(bound: float) -> bool:
        bounds.append(bound)
        return True

    begun = ascend(core, goes_on=note, share_used=lambda: next(shares))
    assert len(begun.columns) == 3
    assert begun.bound_eur == bounds[-1] >= bounds[0]


def test_time_that_is_not_short_changes_nothing() -> None:
    """A little of it is used in every round, never the same: the prices are those without it."""
    core = ColumnMaster.of(build.problem(*(build.job(f"j{k}", deadline_slot=4) for k in range(9))))
    used = (k * 1e-5 for k in range(1, 1_000))
    hurried = ascend(core, goes_on=lambda _bound: True, share_used=lambda: next(used))
    calm = ascend(core, goes_on=lambda _bound: True)
    assert hurried.bound_eur == calm.bound_eur
    assert np.array_equal(hurried.prices.gpu_eur, calm.prices.gpu_eur)


def test_it_stops_when_told() -> None:
    """The first LP and bound are an answer, and so are the first rounds of the ascent."""
    core = ColumnMaster.of(build.problem(build.job()))
    told: list[float] = []

    def stop(*seen: float) -> bool:
        told.append(seen[0])
        return False

    begun = ascend(core, goes_on=stop)
    assert len(begun.columns) == 1
    assert generate(core, begun, Columns.none(), gap=0.0, goes_on=stop).rounds == 1
    assert len(told) == 2


def test_prices_from_nothing_come_close_to_the_bound() -> None:
    """Forty jobs for a quarter of the GPUs they would like in the cheap half of the day."""
    jobs = [build.job(f"j{k}", 1.0 + k % 3, deadline_slot=8) for k in range(40)]
    pool = build.pool(gpus=12)
    problem = build.problem(
        *jobs, sites=[build.site(price=[20.0] * 4 + [200.0] * 4, pools=(pool,))]
    )
    core = ColumnMaster.of(problem)
    begun = ascend(core, goes_on=lambda _bound: True)
    best = generate(core, begun, Columns.none(), gap=1e-7, goes_on=lambda _lp, _bound: True)
    at_first = price_all(core, import_prices(core)).bound_eur
    assert begun.bound_eur <= best.bound_eur + 1e-6
    assert best.bound_eur - begun.bound_eur < 0.05 * (best.bound_eur - at_first)


def test_the_same_seed_gives_the_same_prices() -> None:
    """Noise comes from the seed alone."""
    jobs = [build.job(f"j{k}", deadline_slot=4) for k in range(9)]  # one too many
    core = ColumnMaster.of(build.problem(*jobs))

    def prices(seed: int) -> Ascent:
        return ascend(core, goes_on=lambda _bound: True, seed=seed)

    one, same, other = prices(0), prices(0), prices(1)
    assert (one.prices.gpu_eur == same.prices.gpu_eur).all()
    assert (one.prices.gpu_eur != other.prices.gpu_eur).any()
