"""The cheapest placement of a job that changes points, against every one the rules allow."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from optimizer.jobs import Job, Pausing
from optimizer.placements import tempo
from optimizer.placements.batch import Pricing
from optimizer.placements.options import Options
from optimizer.plan import Placement, Run
from optimizer.problem import Problem
from tests.optimizer import build
from tests.optimizer.test_batch import prices_of
from tests.optimizer.test_priced import N, cases, cost, is_lawful, offer_of, one_job

SLACK_EUR = 0.4773
"""A difference that no two placements have."""


def all_placements(job: Job) -> Iterator[Placement]:
    """Every way to be off, or at one of the points of a site, in each slot, lawful or not."""
    for site in job.sites:
        names = [point.name for point in job.points if point.site == site]
        for taken in itertools.product((None, *names), repeat=N):
            runs: list[Run] = []
            for slot, name in enumerate(taken):
                if name is None:
                    continue
                if runs and runs[-1].end_slot == slot and runs[-1].point == name:
                    runs[-1] = Run(name, runs[-1].start_slot, slot + 1)
                else:
                    runs.append(Run(name, slot, slot + 1))
            if runs:
                yield Placement(job.name, site, tuple(runs))


def lawful_costs(problem: Problem, it_prices: np.ndarray, gpu_prices: np.ndarray) -> list[float]:
    """What each placement costs that verification accepts."""
    offer = offer_of(problem, it_prices, gpu_prices)
    nobody = build.plan_of(replace(problem, jobs=()))
    return [
        cost(problem, placed, offer, it_prices)
        for placed in all_placements(problem.jobs[0])
        if is_lawful(problem, nobody, placed)
    ]


def check(case: tuple[Problem, list[list[float]]], is_exact: bool) -> None:
    """Compare what pricing finds with every lawful placement."""
    problem, listed = case
    problem = replace(problem, jobs=(replace(problem.jobs[0], is_elastic=True),))
    it_prices = np.array(listed)
    gpu_prices = 0.1 * np.abs(it_prices[::-1])
    lawful = lawful_costs(problem, it_prices, gpu_prices)
    pricing = Pricing(problem, Options.of(problem, [0]))
    prices = prices_of(pricing, it_prices, gpu_prices)
    by_option = pricing.cost_by_option(prices)
    _, least = pricing.best_options(by_option)
    columns = pricing.placements(np.flatnonzero(np.isfinite(by_option)), prices)
    if not lawful:
        assert not len(columns)
        assert not is_exact or not np.isfinite(least).any()
        return
    best = min(lawful)
    assert least.min() == pytest.approx(best, abs=1e-9) if is_exact else least.min() < best + 1e-9
    assert not is_exact or len(columns) == np.isfinite(by_option).sum()
    nobody = build.plan_of(replace(problem, jobs=()))
    offer = offer_of(problem, it_prices, gpu_prices)
    for k, option in enumerate(columns.option.tolist()):
        placed = pricing.placement(columns, k)
        assert is_lawful(problem, nobody, placed)
        costs = cost(problem, placed, offer, it_prices)
        if is_exact:
            assert costs == pytest.approx(by_option[option], abs=1e-9)
    if is_exact:
        most_eur = np.array([best + SLACK_EUR])
        within = pricing.within(prices, most_eur, 10_000)
        assert within is not None
        found = {pricing.placement(within, k) for k in range(len(within))}
        assert len(found) == sum(one <= best + SLACK_EUR for one in lawful)


GENTLE = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=60, deadline=None, suppress_health_check=GENTLE)
@given(cases())
@example(  # Fast where it is cheap, slow where it is dear, and a pause between.
    one_job(
        build.job(
            work=2.0,
            deadline_slot=N,
            points=(
                build.point("A/full", gpus=2, work_per_hour=1.0, power_kw=3.0),
                build.point("A/slow", gpus=2, work_per_hour=0.5, power_kw=1.0),
            ),
            pausing=Pausing(min_run_slots=2, restart_slots=1),
        ),
        [0.0, 0.5, 2.0, 2.0, 0.1, 0.0],
    )
)
def test_nothing_the_rules_allow_is_cheaper(case: tuple[Problem, list[list[float]]]) -> None:
    """The dynamic programme finds the optimum of exhaustive enumeration, and lists what is near."""
    check(case, is_exact=True)


@settings(max_examples=60, deadline=None, suppress_health_check=GENTLE)
@given(cases(), st.sampled_from([(1.0, 0.87, 0.61), (0.93, 0.4, 0.7)]))
def test_rounded_work_bounds_every_placement_and_finds_lawful_ones(
    case: tuple[Problem, list[list[float]]], rates: tuple[float, ...]
) -> None:
    """With two units to a slot or so, rates are far from whole."""
    problem, prices = case
    job = problem.jobs[0]
    points = tuple(
        replace(point, work_per_hour=rate)
        for point, rate in zip(job.points, (*rates, 1.0), strict=False)
    )
    problem = replace(problem, jobs=(replace(job, points=points),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempo, "MOST_UNITS", 8)
        check((problem, prices), is_exact=False)


def changing_job(prices: list[float], **kwargs: object) -> str:
    """Points of a job of two hours' work by slot: f for full, s for half speed, . for none."""
    points = (
        build.point("A/full", gpus=1, work_per_hour=1.0, power_kw=3.0),
        build.point("A/slow", gpus=1, work_per_hour=0.5, power_kw=1.0),
    )
    job = build.job("job", 2.0, points=points, is_elastic=True, deadline_slot=N, **kwargs)
    problem, listed = one_job(job, prices)
    pricing = Pricing(problem, Options.of(problem, [0]))
    at = prices_of(pricing, np.array(listed), np.zeros((2, N)))
    winners, _ = pricing.best_options(pricing.cost_by_option(at))
    columns = pricing.placements(winners, at)
    placed = pricing.placement(columns, 0)
    by_slot = dict(placed.slots())
    return "".join(by_slot.get(slot, "A/.")[2] for slot in range(N))


def test_a_job_runs_slowly_while_energy_is_dear() -> None:
    """In one piece: 3 kW for an hour's work, or 1 kW twice for half of it."""
    assert changing_job([1.0, 1.0, 3.0, 9.0, 9.0, 9.0]) == "ff...."
    assert changing_job([9.0, 9.0, 1.0, 1.5, 0.1, 9.0]) == "..ssf."
