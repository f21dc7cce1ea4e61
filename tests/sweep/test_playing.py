"""Cases are played once, go on where they were killed, and tell what happened."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from optimizer import Plan, Problem, baselines
from scheduler.backtest.keeping import Folder
from scheduler.sweep.cases import Case, cases_of
from scheduler.sweep.collecting import results_of, write_tables
from scheduler.sweep.days import shown_days
from scheduler.sweep.inputs import SweepInputs, read_inputs
from scheduler.sweep.playing import play_case
from scheduler.sweep.result import CaseResult
from scheduler.sweep.summing_up import summed_up
from tests.sweep.files import CONFIG, FLEET, write_backtest

ONE_SEED = CONFIG.replace("seeds = [1, 2]", "seeds = [1]")
MINE = f'{ONE_SEED}\n[[policies]]\nuse = "tests.sweep.test_playing:last_first"\nname = "mine"\n'


def last_first(problem: Problem) -> Plan:
    """A policy of one's own."""
    return baselines.lowest_window(problem)


class Killed(Exception):
    """Stands for the end of a process."""


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[SweepInputs, tuple[Case, ...], Path]:
    """A sweep that was played: run-now, rolling, and a policy of one's own."""
    folder = tmp_path_factory.mktemp("sweep")
    inputs = read_inputs(write_backtest(folder, MINE))
    cases = cases_of(inputs, folder / "out")
    for case in cases:
        play_case(lambda _: None, inputs, case)
    return inputs, cases, folder / "out"


def by_policy(cases: tuple[Case, ...]) -> dict[str, CaseResult]:
    """Return results by policy."""
    return {result.policy: result for result in results_of(cases)}


def test_every_policy_is_settled_and_adds_up(
    sweep: tuple[SweepInputs, tuple[Case, ...], Path],
) -> None:
    """No limit of the truth is broken, every job is done, and terms of (A1) are equal to 1e-9."""
    _, cases, _ = sweep
    results = by_policy(cases)
    assert set(results) == {"run_now", "rolling", "mine"}
    for result in results.values():
        assert result.breaches == ()
        assert result.worst_error < 1e-9
        assert result.not_done == ()
        for site in result.sites:
            it = site.energy_kwh
            there = it["bought_kwh"] + it["generated_kwh"] + it["discharged_kwh"] + it["short_kwh"]
            gone = it["used_kwh"] + it["charged_kwh"] + it["curtailed_kwh"] + it["sold_kwh"]
            assert there == pytest.approx(gone, rel=1e-9)
    assert results["rolling"].cost_eur < results["run_now"].cost_eur


def test_tables_add_up_to_the_results(sweep: tuple[SweepInputs, tuple[Case, ...], Path]) -> None:
    """Cost and carbon of all slots are those of the case; each job and plan has its row."""
    _, cases, out = sweep
    files = write_tables(cases, out)
    slots, jobs, plans = (pd.read_parquet(files[name]) for name in ("slots", "jobs", "plans"))
    for policy, result in by_policy(cases).items():
        mine = slots[slots["policy"] == policy]
        assert mine["carbon_kg"].sum() == pytest.approx(result.carbon_kg, rel=1e-9)
        assert mine["cost_eur"].sum() == pytest.approx(result.cost_eur, rel=1e-9)
        assert len(mine) == 2 * 48
        assert (jobs["policy"] == policy).sum() == result.n_jobs
        assert (plans["policy"] == policy).sum() == result.n_plans
    assert jobs["is_done"].all()
    assert (jobs["started_at"] >= jobs["submitted_at"]).all()


def test_savings_are_against_the_baseline(
    sweep: tuple[SweepInputs, tuple[Case, ...], Path],
) -> None:
    """Of the same seed."""
    inputs, cases, _ = sweep
    results = by_policy(cases)
    lines = {line.policy: line for line in summed_up(inputs.spec, cases, results_of(cases))}
    saved = results["run_now"].cost_eur - results["rolling"].cost_eur
    assert lines["rolling"].saved_eur == pytest.approx(saved)
    assert lines["run_now"].saved_eur == 0.0
    hours = {"a": 4 * 3.0, "b": 8 * 2.5, "c": 2 * 5.0, "d": 1.0}
    assert lines["run_now"].gpu_share == pytest.approx(sum(hours.values()) / (12 * 48))
    of, days = shown_days(inputs.spec, cases, results_of(cases))
    assert of == "all, seed 1"
    assert {day.policy for day in days} == set(results)
    assert any(day.jobs for day in days)


def test_how_wrong_forecasts_were_is_told(
    sweep: tuple[SweepInputs, tuple[Case, ...], Path],
) -> None:
    """Prices of the first hours were published; carbon was forecast with errors."""
    _, cases, _ = sweep
    near = {
        (it.site, it.kind.value): it
        for it in by_policy(cases)["rolling"].forecasts
        if it.from_hours == 0
    }
    assert near["FR", "price"].mean_absolute_error == pytest.approx(0.0, abs=1e-9)
    assert near["FR", "carbon_intensity"].mean_absolute_error > 1.0


def test_a_case_that_was_killed_comes_to_the_same(
    sweep: tuple[SweepInputs, tuple[Case, ...], Path], tmp_path: Path
) -> None:
    """Killed after its first day it goes on from there, and its result is the same."""
    inputs, cases, _ = sweep
    whole = next(case for case in cases if case.policy.label == "mine")
    again = next(case for case in cases_of(inputs, tmp_path) if case.policy.label == "mine")

    def killed(_: object) -> None:
        raise Killed

    with pytest.raises(Killed):
        play_case(killed, inputs, again)
    kept = Folder(again.path).read_state()
    assert kept is not None
    assert not again.is_done
    told: list[object] = []
    play_case(told.append, inputs, again)
    assert len(told) == 1
    assert again.result_file.read_bytes() == whole.result_file.read_bytes()


def test_another_seed_leaves_what_was_played_and_another_file_does_not(tmp_path: Path) -> None:
    """A case's folder is named by all it depends on, and by nothing else."""
    first = cases_of(read_inputs(write_backtest(tmp_path, ONE_SEED)), tmp_path)
    more = cases_of(read_inputs(write_backtest(tmp_path)), tmp_path)
    assert {case.path for case in first} < {case.path for case in more}
    other = write_backtest(tmp_path, jobs=["z,2021-07-05T01:00Z,4,3.0,,2021-07-06T01:00Z,,,"])
    assert not {case.path for case in first} & {
        case.path for case in cases_of(read_inputs(other), tmp_path)
    }


def test_a_changed_tariff_begins_anew(tmp_path: Path) -> None:
    """The fleet's file names the tariff's, and stays as it is."""
    fleet = f'{FLEET}tariff = {{ urdb_file = "t.json" }}\n'
    paths = []
    for rate in (0.1, 0.2):
        periods = [[0] * 24] * 12
        document = {
            "energyratestructure": [[{"rate": rate}]],
            "energyweekdayschedule": periods,
            "energyweekendschedule": periods,
        }
        (tmp_path / "t.json").write_text(json.dumps(document))
        config = write_backtest(tmp_path, ONE_SEED, fleet)
        paths.append({case.path for case in cases_of(read_inputs(config), tmp_path)})
    assert not paths[0] & paths[1]


def test_a_changed_policy_of_ones_own_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing else does."""
    monkeypatch.syspath_prepend(tmp_path)
    inputs = read_inputs(write_backtest(tmp_path, MINE.replace("tests.sweep.test_playing", "own")))
    paths = []
    for changed in ("1", "22"):
        (tmp_path / "own.py").write_text(f"def last_first(problem):\n    return {changed}\n")
        monkeypatch.delitem(sys.modules, "own", raising=False)
        paths.append({case.policy.label: case.path for case in cases_of(inputs, tmp_path)})
    assert {name for name in paths[0] if paths[0][name] != paths[1][name]} == {"mine"}


def test_a_baseline_is_not_charged_twice_for_what_it_left(
    sweep: tuple[SweepInputs, tuple[Case, ...], Path],
) -> None:
    """What it had of a job it did not finish is in its account already; others are charged it."""
    inputs, cases, _ = sweep
    spec = inputs.spec.model_copy(update={"baseline": "rolling"})
    left = [replace(result, not_done=("a",)) for result in results_of(cases)]
    lines = {line.policy: line for line in summed_up(spec, cases, left)}
    paid = {result.policy: result.cost_eur for result in left}
    assert lines["rolling"].cost_eur == paid["rolling"]
    assert lines["mine"].cost_eur > paid["mine"]
