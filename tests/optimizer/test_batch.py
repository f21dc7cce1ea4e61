"""Pricing all jobs at once finds for each what pricing it alone finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.jobs import Announced, Job, Pausing
from optimizer.placements.batch import Pricing
from optimizer.placements.columns import Columns
from optimizer.placements.options import Options
from optimizer.placements.priced import cheapest
from optimizer.placements.prices import Prices
from optimizer.problem import Problem, Weights
from optimizer.settlement import it_load_kw
from tests.optimizer import build
from tests.optimizer.test_priced import cases, cost, offer_of


@st.composite
def crowds(draw: st.DrawFn) -> tuple[Problem, list[list[float]]]:
    """Several jobs of every kind around the sites and links of the first."""
    drawn = [draw(cases()) for _ in range(draw(st.integers(1, 4)))]
    jobs = tuple(replace(p.jobs[0], name=f"job{k}") for k, (p, _) in enumerate(drawn))
    problem, prices = drawn[0]
    return replace(problem, jobs=jobs), prices


def prices_of(pricing: Pricing, it_prices: np.ndarray, gpu_prices: np.ndarray) -> Prices:
    """Prices by rate: a GPU's own [pool, slot], and that of the power it draws [site, slot]."""
    rates = pricing.options.rates
    power = rates.kw_per_gpu[:, None] * it_prices[rates.site]
    return Prices(it_prices, gpu_prices[rates.pool] + power)


@settings(max_examples=150, deadline=None)
@given(crowds())
def test_every_job_gets_what_it_gets_alone(case: tuple[Problem, list[list[float]]]) -> None:
    """Costs are those of ``cheapest``, and the columns are placements that cost as much."""
    problem, listed = case
    it_prices = np.array(listed)
    gpu_prices = 0.1 * np.abs(it_prices[::-1])
    offer = offer_of(problem, it_prices, gpu_prices)
    pricing = Pricing(problem, Options.of(problem, range(len(problem.jobs))))
    prices = prices_of(pricing, it_prices, gpu_prices)
    winners, costs = pricing.best_options(pricing.cost_by_option(prices))
    found = dict(zip(pricing.jobs.tolist(), costs.tolist(), strict=True))
    columns = pricing.placements(winners, prices)
    placed = {
        pricing.options.job[option]: pricing.placement(columns, k)
        for k, option in enumerate(columns.option)
    }
    for row, job in enumerate(problem.jobs):
        alone = cheapest(problem, job, offer)
        if alone is None:
            assert not np.isfinite(found.get(row, np.inf))
            assert row not in placed
            continue
        assert found[row] == pytest.approx(alone.cost_eur, abs=1e-9)
        only = replace(problem, jobs=(job,))
        assert cost(only, placed[row], offer, it_prices) == pytest.approx(found[row], abs=1e-9)


def priced(job: Job, prices: list[float]) -> tuple[Pricing, Columns, Prices]:
    """The cheapest placement of one job at site A, as a column."""
    problem = build.problem(job)
    pricing = Pricing(problem, Options.of(problem, [0]))
    at = prices_of(pricing, np.array([prices]), np.zeros((1, len(prices))))
    winners, _ = pricing.best_options(pricing.cost_by_option(at))
    return pricing, pricing.placements(winners, at), at


def test_a_column_knows_its_restarts_and_what_they_cost() -> None:
    """Two pieces are one restart; the power of it falls into the first slot of the second."""
    job = build.job(pausing=Pausing(restart_eur=3.0, restart_kwh=0.5))
    pricing, columns, _ = priced(job, [1.0, 9.0, 1.0, 9.0, 9.0, 9.0, 9.0, 9.0])
    assert columns.slots.tolist() == [0, 2]
    assert pricing.is_restart(columns).tolist() == [False, True]
    assert pricing.own_cost_eur(columns).tolist() == [3.0]
    placed = pricing.placement(columns, 0)
    assert it_load_kw(pricing.problem, [placed])[0, 2] > it_load_kw(pricing.problem, [placed])[0, 0]


def test_columns_are_taken_and_joined_in_order() -> None:
    """Slots go with their column."""
    some = Columns.at_one_point(np.array([7, 8]), np.array([0, 2, 3]), np.array([1, 2, 5]))
    both = Columns.joined([some, some]).take(np.array([3, 0]))
    assert both.option.tolist() == [8, 7]
    assert both.begins.tolist() == [0, 1, 3]
    assert both.slots.tolist() == [5, 1, 2]
    assert len(Columns.joined([])) == 0


def test_chunks_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """One option at a time or all at once."""
    rng = np.random.default_rng(0)
    jobs = [build.job(f"j{k}", 1.0 + k % 3, deadline_slot=5 + k % 4) for k in range(12)]
    problem = build.problem(*jobs)
    pricing = Pricing(problem, Options.of(problem, range(12)))
    prices = prices_of(pricing, rng.uniform(0, 1, (1, 8)), rng.uniform(0, 1, (1, 8)))
    at_once = pricing.cost_by_option(prices)
    monkeypatch.setattr("optimizer.placements.batch.MOST_CELLS", 1)
    assert pricing.cost_by_option(prices).tolist() == at_once.tolist()


def test_only_options_near_the_best_of_their_job_are_priced_again() -> None:
    """Of two sites, one is dearer by 2 EUR for a GPU and an hour: the job takes two of each."""
    points = tuple(build.point(f"{site}/2", gpus=2, power_kw=2.0) for site in ("A", "B"))
    sites = [build.site("A"), build.site("B")]
    problem = build.problem(build.job(points=points), sites=sites)
    pricing = Pricing(problem, Options.of(problem, [0]))
    prices = prices_of(pricing, np.zeros((2, 8)), np.array([[1.0] * 8, [3.0] * 8]))
    cost = pricing.cost_by_option(prices)
    assert cost.tolist() == [4.0, 12.0]
    assert pricing.near_best(cost, 1.9).tolist() == [0]
    assert pricing.near_best(cost, 2.1).tolist() == [0, 1]
    assert pricing.cost_by_option(prices, among=np.array([1])).tolist() == [np.inf, 12.0]


@pytest.mark.parametrize(("churn_eur", "slots"), [(0.5, [0, 6]), (3.0, [2, 6]), (9.0, [2, 6])])
def test_a_job_that_may_pause_begins_as_announced_if_that_costs_less_than_churn(
    churn_eur: float, slots: list[int]
) -> None:
    """Slot 2 costs 2 EUR more than the two cheapest, 0 and 6."""
    job = build.job(pausing=Pausing(), announced=Announced("A", 2))
    problem = build.problem(job, weights=Weights(churn_eur_per_job=churn_eur))
    pricing = Pricing(problem, Options.of(problem, [0]))
    assert pricing.options.is_free.all()
    prices = prices_of(pricing, np.zeros((1, 8)), np.array([[1.0, 9, 3, 9, 9, 9, 1, 9]]))
    cost = pricing.cost_by_option(prices)
    assert pricing.placements(np.array([0]), prices).slots.tolist() == slots
    assert cost.tolist() == [2.0 + min(churn_eur, 2.0)]
