"""GAIA's week from generated files: ticks, conditions, and that planning is never the worse way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.gaia import report
from benchmarks.gaia.conditions import ALL, PRICED, Conditions, read_prices, under
from benchmarks.gaia.outcomes import IN_ONE_PIECE, PLANNED, outcomes
from benchmarks.gaia.planned import in_one_piece, paused
from benchmarks.gaia.week import (
    FIRST_HOUR,
    GaiaJob,
    expected_work,
    policies,
    read_carbon,
    read_jobs,
    week,
)
from optimizer import Pausing, Placement, Problem, Rung, SolveLimits, dispatch, settled_plan, verify

HOURS = 8760
SUBMIT_S, LENGTH_S, CPUS = (0, 68, 4000, 9000), (6302, 1000, 30_000, 7200), (1, 1, 2, 4)
ZONES = ("AU-SA", "DE", "US-CAL-CISO", "US-NY-NYIS")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four jobs, a year of random carbon and prices, one of which is missing."""
    made = tmp_path_factory.mktemp("gaia")
    for name in ("jobs", "carbon", "sites"):
        (made / name).mkdir()
    table = {"submit_time_s": SUBMIT_S, "duration_s": LENGTH_S, "cpus": CPUS}
    pd.DataFrame(table).to_csv(made / "jobs" / "gaia_pai_1k.csv", index=False)
    rng = np.random.default_rng(3)
    carbon = {zone: rng.uniform(50, 400, HOURS) for zone in ZONES}
    pd.DataFrame(carbon).to_csv(made / "carbon" / "ci_lca_2022_hourly.csv.gz", index=False)
    hours = pd.date_range("2022-01-01", periods=HOURS, freq="h").strftime("%Y-%m-%dT%H:%M:%SZ")
    prices = []
    for zone in ZONES[1:]:
        price = rng.uniform(10, 200, HOURS)
        price[FIRST_HOUR + 1] = np.nan
        currency = "eur" if zone == "DE" else "usd"
        prices.append(
            pd.DataFrame({"time_utc": hours, "site": zone, "price": price, "currency": currency})
        )
    pd.concat(prices).to_csv(made / "sites" / "dev_sites_ci_price_weather.csv.gz", index=False)
    return made


def settled_kg(problem: Problem, placements: list[Placement]) -> float:
    """Carbon of placements that keep every limit."""
    flows = dispatch(problem, placements, {})
    plan = settled_plan(problem, Rung.BEST_FOUND, placements, (), flows)
    assert verify(problem, plan) == ()
    return plan.terms.carbon_kg


def test_jobs_are_cut_to_ticks_and_taken_for_the_mean_of_their_class(folder: Path) -> None:
    """6302 s are 1260 ticks of 5 s; 7200 s are in both means, and may wait as the long ones do."""
    jobs = read_jobs(folder)
    assert jobs[0] == GaiaJob("pai-0000", 0, 1260, 1)
    assert [job.wait_hours for job in jobs] == [6, 6, 24, 24]
    short, long = (6302 + 1000 + 7200) // 3 // 5, (30_000 + 7200) // 2 // 5
    assert list(expected_work(folder, jobs).values()) == [short, short, long, long]


def test_a_tick_told_as_five_minutes_is_worth_its_energy(folder: Path) -> None:
    """Each CPU draws 1 kW: the first job, from the begin on, 1 h and 540 ticks of the next."""
    job = read_jobs(folder)[0]
    plan = policies({})["run_now"](week(folder, [job], None))
    carbon = read_carbon(folder)
    assert plan.terms.carbon_kg == pytest.approx((carbon[0] + carbon[1] * 540 / 720) / 1e3)


def test_the_planner_is_at_most_what_the_best_published_rules_emit(folder: Path) -> None:
    """Paused at will both are the optimum; in one piece it may start more often than hourly."""
    jobs, carbon = read_jobs(folder), read_carbon(folder)
    free, unbroken = week(folder, jobs, Pausing()), week(folder, jobs, None)
    rules = policies(expected_work(folder, jobs))
    best_kg = rules["wait_awhile"](free).terms.carbon_kg
    assert settled_kg(free, list(paused(jobs, carbon))) == pytest.approx(best_kg, rel=1e-9)
    hourly_kg = rules["lowest_window, true lengths"](unbroken).terms.carbon_kg
    assert settled_kg(unbroken, in_one_piece(jobs, carbon, SolveLimits(20.0, 0.0))) <= hourly_kg


@pytest.mark.parametrize("conditions", ALL, ids=lambda one: one.name)
def test_planned_is_best_under_all_conditions(conditions: Conditions, folder: Path) -> None:
    """Every way is verified; those that decide for all together are told beside the others."""
    problem = under(conditions, folder, read_jobs(folder))
    found = list(outcomes(problem, 20.0))
    objective = {one.name: one.objective_eur for one in found}
    assert objective[PLANNED] <= min(objective.values()) + 1e-6
    told = report.without({conditions.name: found}, PRICED)
    assert f"| {report.WORDS[IN_ONE_PIECE]} | {found[-2].g_per_cpu_hour:.1f} |" in told
    assert ("Money [EUR]" in told) == (conditions.name == PRICED)


def test_a_missing_price_is_that_of_the_hour_before_in_euro(folder: Path) -> None:
    """California's are in dollars, Germany's are not."""
    for zone, rate in (("DE", 1.0), ("US-CAL-CISO", 1 / 1.0530)):
        prices = read_prices(folder, zone)
        table = pd.read_csv(folder / "sites" / "dev_sites_ci_price_weather.csv.gz")
        first = table[table.site == zone].price.iloc[FIRST_HOUR]
        assert prices[:2] == pytest.approx([first * rate] * 2)
