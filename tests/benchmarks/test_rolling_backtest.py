"""The rolling backtest from generated files: what is known when, and a few days of it played."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.rolling_backtest.instance import FIRST_DAY, PLANTS, Settings, scene_of
from benchmarks.rolling_backtest.outcome import outcome_of, run_now_outcome
from benchmarks.rolling_backtest.playing import play_policy
from benchmarks.rolling_backtest.report import markdown
from benchmarks.rolling_backtest.signals import read_signals
from connectors.types import SignalKind, Window
from scheduler.backtest.keeping import Folder

DAYS = 5
SETTINGS = Settings(end=FIRST_DAY + timedelta(days=DAYS), stated_factors=(1.0, 1.0))


def known_at(data: Path, kind: SignalKind, now: datetime) -> pd.Series:
    """What is known of DE at an instant, by start."""
    signals = read_signals(data, PLANTS, SETTINGS.begin, SETTINGS.end)
    frame = signals.history.as_known(Window(SETTINGS.begin, SETTINGS.end), now)
    rows = frame[(frame["site"] == "DE") & (frame["kind"] == kind)]
    return rows.set_index("start_at")["value"]


def test_prices_of_a_local_day_are_known_from_a_quarter_to_one_of_the_day_before(
    data: Path,
) -> None:
    """In Germany that is 10:45 UTC in summer, and the day ends at 22:00 UTC."""
    noon = datetime(2021, 7, 3, 10, 45, tzinfo=UTC)
    before = known_at(data, SignalKind.PRICE, noon - timedelta(minutes=1)).index.max()
    since = known_at(data, SignalKind.PRICE, noon).index.max()
    assert before == pd.Timestamp("2021-07-03T21:00Z")
    assert since == pd.Timestamp("2021-07-04T21:00Z")


def test_carbon_is_as_forecast_until_it_was_measured(data: Path) -> None:
    """An hour after its interval; forecasts here are 5 g/kWh too high."""
    start = pd.Timestamp("2021-07-03T08:00Z")
    early = known_at(data, SignalKind.CARBON_INTENSITY, datetime(2021, 7, 3, 9, 59, tzinfo=UTC))
    late = known_at(data, SignalKind.CARBON_INTENSITY, datetime(2021, 7, 3, 10, 0, tzinfo=UTC))
    assert early[start] - late[start] == pytest.approx(5.0)


@pytest.mark.parametrize("factors", [(1.0, 1.0), (1.5, 1.5)])
def test_jobs_use_as_many_gpu_hours_as_asked_for(data: Path, factors: tuple[float, float]) -> None:
    """The last one drawn may be more than is missing; stated lengths are the factor longer."""
    settings = replace(SETTINGS, end=FIRST_DAY + timedelta(days=9), stated_factors=factors)
    jobs = scene_of(data, settings).jobs
    used = sum(job.true_work_hours * job.spec.operating_points[0].gpus for job in jobs)
    assert 0.0 <= used - settings.used * settings.gpu_hours < 4 * 8
    for job in jobs:
        assert job.spec.work_hours == pytest.approx(job.true_work_hours * factors[0], abs=0.05)


def test_some_days_are_played_kept_and_told(data: Path, tmp_path: Path) -> None:
    """Whoever plays it again has nothing left to do, and tells the same."""
    settings = replace(SETTINGS, used=0.01)
    play_policy(data, settings, "day_ahead", tmp_path)
    kept = Folder(tmp_path).read_state()
    play_policy(data, settings, "day_ahead", tmp_path)
    assert Folder(tmp_path).read_state() == kept
    outcome = outcome_of(data, settings, Folder(tmp_path))
    assert outcome.is_whole
    assert outcome.account.breaches == ()
    assert outcome.account.worst_error < 1e-9
    assert outcome.n_rounds == DAYS
    assert sum(outcome.eur_by_day) == pytest.approx(outcome.account.terms.money_eur)
    outcomes = {"run_now": run_now_outcome(data, settings), "day_ahead": outcome}
    assert "(a) one plan a day" in markdown(settings, outcomes)


@pytest.mark.parametrize("name", ["true_prices", "true_carbon", "true_plants"])
def test_one_signal_may_be_true_and_the_rest_forecast(
    data: Path, tmp_path: Path, name: str
) -> None:
    """Played as often as is asked, with every plan put in force."""
    end = FIRST_DAY + timedelta(days=3)
    settings = replace(SETTINGS, end=end, used=0.01, every_hours=12.0)
    play_policy(data, settings, name, tmp_path)
    outcome = outcome_of(data, settings, Folder(tmp_path))
    assert (outcome.n_rounds, outcome.n_refused, outcome.is_whole) == (6, 0, True)


def test_who_leaves_a_job_out_saves_nothing_by_it(data: Path) -> None:
    """It is charged what run-now paid for the job."""
    settings = replace(SETTINGS, used=0.01)
    now = run_now_outcome(data, settings)
    site = now.account.sites["CISO"]
    name, share = max(site.jobs.items(), key=lambda item: item[1].eur)
    without = replace(now, not_done=(name,))
    lines = markdown(settings, {"run_now": now, "perfect": without}).splitlines()
    cells = [line.split("|") for line in lines if line.count("|") == 9]
    cost = {cell[1].strip(): cell[2] for cell in cells}
    more = float(cost["perfect forecast"]) - float(cost["run-now"])
    assert more == pytest.approx(share.eur, abs=1.0)
    assert share.eur > 0.0
