"""The cheapest placement of a job that changes points, against every one the rules allow."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from optimizer.jobs import Job, Pausing, Pin
from optimizer.placements import changing, tempo
from optimizer.placements.batch import Pricing
from optimizer.placements.options import Options
from optimizer.placements.switching import cells_per_slot
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


WIDE = build.point("A/wide", gpus=1, work_per_hour=0.25, power_kw=0.5)
"""Fewer GPUs than the other points of ``cases`` at site A: another configuration."""


@st.composite
def changing_cases(draw: st.DrawFn) -> tuple[Problem, list[list[float]]]:
    """Cases of ``test_priced``, whose jobs may change points, and GPUs too."""
    problem, prices = draw(cases())
    job = replace(problem.jobs[0], is_elastic=True)
    if draw(st.booleans()):
        job = replace(job, points=(*job.points, WIDE))
    if job.pausing is not None and draw(st.sampled_from([False, False, True])):
        job = replace(job, pausing=replace(job.pausing, restart_slots=2))
    return replace(problem, jobs=(job,)), prices


def check(case: tuple[Problem, list[list[float]]], is_rounded: bool) -> bool:
    """Compare what pricing finds with every lawful placement; whether it found one."""
    problem, listed = case
    it_prices = np.array(listed)
    gpu_prices = 0.1 * np.abs(it_prices[::-1])
    lawful = lawful_costs(problem, it_prices, gpu_prices)
    pricing = Pricing(problem, Options.of(problem, [0]))
    prices = prices_of(pricing, it_prices, gpu_prices)
    is_exact = not is_rounded and all(ways.tempo.is_listed for ways in pricing.options.switching)
    by_option = pricing.cost_by_option(prices)
    _, least = pricing.best_options(by_option)
    columns = pricing.placements(np.flatnonzero(np.isfinite(by_option)), prices)
    best = min(lawful, default=np.inf)
    assert least.min(initial=np.inf) <= best + 1e-9
    nobody = build.plan_of(replace(problem, jobs=()))
    offer = offer_of(problem, it_prices, gpu_prices)
    for k, option in enumerate(columns.option.tolist()):
        placed = pricing.placement(columns, k)
        assert is_lawful(problem, nobody, placed)
        costs = cost(problem, placed, offer, it_prices)
        assert costs >= by_option[option] - 1e-9
        if is_exact:
            assert costs == pytest.approx(by_option[option], abs=1e-9)
    if is_exact:
        assert least.min(initial=np.inf) == pytest.approx(best, abs=1e-9)
        assert len(columns) == np.isfinite(by_option).sum()
    if is_exact and lawful:
        within = pricing.within(prices, np.array([best + SLACK_EUR]), 10_000)
        assert within is not None
        assert len(within) == len({pricing.placement(within, k) for k in range(len(within))})
        assert len(within) == sum(one <= best + SLACK_EUR for one in lawful)
    return len(columns) > 0


GENTLE = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=60, deadline=None, suppress_health_check=GENTLE)
@given(changing_cases())
@example(  # Fast where it is cheap, slow where it is dear, and a pause between.
    one_job(
        build.job(
            work=2.0,
            deadline_slot=N,
            points=(
                build.point("A/full", gpus=2, work_per_hour=1.0, power_kw=3.0),
                build.point("A/slow", gpus=2, work_per_hour=0.5, power_kw=1.0),
            ),
            pausing=Pausing(min_run_slots=2, restart_kwh=0.1),
            is_elastic=True,
        ),
        [0.0, 0.5, 2.0, 2.0, 0.1, 0.0],
    )
)
@example(  # Paid to burn: done, undone by a restart, and done again.
    one_job(
        build.job(
            work=0.5,
            deadline_slot=N,
            points=(
                build.point("A/full", gpus=2, work_per_hour=1.0, power_kw=3.0),
                build.point("A/slow", gpus=2, work_per_hour=0.5, power_kw=1.0),
            ),
            pausing=Pausing(restart_slots=1),
            is_elastic=True,
        ),
        [-0.5, 0.1, -0.5, -0.5, 0.1, 0.1],
    )
)
def test_nothing_the_rules_allow_is_cheaper(case: tuple[Problem, list[list[float]]]) -> None:
    """The dynamic programme finds the optimum of exhaustive enumeration, and lists what is near."""
    check(case, is_rounded=False)


@settings(max_examples=60, deadline=None, suppress_health_check=GENTLE)
@given(changing_cases(), st.sampled_from([(1.0, 0.87, 0.61), (0.93, 0.4, 0.7)]))
def test_rounded_work_bounds_every_placement_and_finds_lawful_ones(
    case: tuple[Problem, list[list[float]]], rates: tuple[float, ...]
) -> None:
    """With three units to a slot, rates are far from whole."""
    problem, prices = case
    job = problem.jobs[0]
    points = tuple(
        replace(point, work_per_hour=rate)
        for point, rate in zip(job.points, (*rates, 1.0, 0.03), strict=False)
    )
    problem = replace(problem, jobs=(replace(job, points=points),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempo, "MOST_UNITS", 3)
        patch.setattr(tempo, "LEAST_PER_SLOT", 3)
        check((problem, prices), is_rounded=True)


@pytest.mark.parametrize("work", [0.9, 1.7, 2.5])
def test_rounded_work_with_time_to_spare_is_placed_for_a_little_more(work: float) -> None:
    """Units differ by an eighth in size at most: so much more is paid, or less bounded."""
    points = tuple(
        build.point(f"A/{rate}", gpus=1, work_per_hour=rate, power_kw=3.0 * rate**2)
        for rate in (1.0, 0.87, 0.61)
    )
    job = build.job("job", work, points=points, is_elastic=True, deadline_slot=N)
    case = one_job(job, [1.0, 1.1, 1.2, 1.1, 1.0, 1.3])
    pricing = Pricing(case[0], Options.of(case[0], [0]))
    prices = prices_of(pricing, np.array(case[1]), np.zeros((2, N)))
    best = min(lawful_costs(case[0], np.array(case[1]), np.zeros((2, N))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempo, "MOST_UNITS", 3)
        patch.setattr(tempo, "LEAST_PER_SLOT", 3)
        assert check(case, is_rounded=True)
        coarse = Pricing(case[0], Options.of(case[0], [0])).cost_by_option(prices)
    assert coarse.min() >= 0.75 * best
    assert pricing.cost_by_option(prices).min() >= 0.97 * best


@pytest.mark.parametrize("changes", [{"MOST_CELLS": 1}, {"MOST_CELLS_OF_WAY": 1}])
def test_large_tables_are_cut_up_or_done_without(changes: dict[str, int]) -> None:
    """One way at a time gives the same; a way too large for a table still has its bound."""
    points = tuple(
        build.point(f"{site}/{rate}", site=site, gpus=1, work_per_hour=rate, power_kw=3.0 * rate)
        for site in ("A", "B")
        for rate in (1.0, 0.5)
    )
    jobs = [build.job(f"j{k}", 2.0, points=points, is_elastic=True) for k in range(3)]
    sites = [build.site(name) for name in ("A", "B")]
    problem = build.problem(*jobs, sites=sites)
    pricing = Pricing(problem, Options.of(problem, range(3)))
    rng = np.random.default_rng(0)
    prices = prices_of(pricing, rng.uniform(0, 1, (2, 8)), np.full((2, 8), 0.2))
    eur = pricing.cost_by_option(prices)
    winners, _ = pricing.best_options(eur)
    columns = pricing.placements(winners, prices)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in changes.items():
            patch.setattr(changing, name, value)
        assert pricing.cost_by_option(prices).tolist() == eur.tolist()
        again = pricing.placements(winners, prices)
    assert len(again) == len(columns) == 3
    found, before = ({pricing.placement(some, k) for k in range(3)} for some in (again, columns))
    n_points = {len({run.point for run in placed.runs}) for placed in found}
    assert n_points == {1} if "MOST_CELLS_OF_WAY" in changes else found == before


def test_a_job_too_long_for_its_restarts_is_priced_in_little_memory() -> None:
    """A restart of a month, more pauses than slots: nothing of it is counted."""
    pausing = Pausing(restart_slots=700, max_pauses=500)
    points = (build.point("A/full"), build.point("A/slow", work_per_hour=0.5, power_kw=0.3))
    job = build.job("job", 2.0, points=points, is_elastic=True, pausing=pausing)
    options = Options.of(build.problem(job), [0])
    (ways,) = options.switching
    assert ways.tempo.strict.most_restarts == 0
    assert cells_per_slot(ways.tempo, ways.tempo.strict.to_do(2.0)) < 10


def test_a_job_that_is_done_within_its_pin_does_not_change() -> None:
    """There is one placement, at the point of the pin."""
    points = (build.point("A/full"), build.point("A/slow", work_per_hour=0.5, power_kw=0.3))
    pin = Pin("A/full", 0, 2, is_running=True)
    job = build.job("job", 2.0, points=points, is_elastic=True, pin=pin)
    assert Options.of(build.problem(job), [0]).switching == ()


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
