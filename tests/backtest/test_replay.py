"""A replay plans as production does, and sees nothing that was not known yet."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from connectors.types import SignalKind, Window
from optimizer import baselines
from scheduler.backtest.keeping import Folder, play_kept
from scheduler.backtest.known import SignalHistory
from scheduler.backtest.policy import Policy
from scheduler.backtest.replay import play
from scheduler.backtest.truth import true_problem
from scheduler.backtest.world import Past, Scene
from scheduler.services.assemble_scenarios import history_span
from scheduler.services.window import PlanWindow
from scheduler.specs.uncertainty import UncertaintySpec
from tests.backtest.small import (
    HOURS,
    accounted,
    as_if_known,
    as_known,
    fleet,
    job,
    played,
    policy,
    scene,
    some_jobs,
    truth,
)
from tests.services.builders import START

T0 = timedelta(0)
DAY = pd.Timedelta(days=1)


@pytest.mark.parametrize("seed", [0, 2])
def test_one_plan_of_everything_is_settled_as_it_was_planned(seed: int) -> None:
    """With all jobs there, true lengths and true signals, what happens is what was planned."""
    day, signals = scene(some_jobs(seed, at_once=True)), truth(seed)
    once = policy(as_if_known(signals), HOURS, lead=T0)
    state, *_ = played(day, once)
    assert state.in_force is not None
    planned, happened = state.in_force.plan.terms, accounted(day, once, signals).terms
    assert happened.carbon_kg == pytest.approx(planned.carbon_kg, rel=1e-9)
    assert happened.money_eur == pytest.approx(planned.money_eur, rel=1e-9)
    assert happened.storage_value_eur == pytest.approx(planned.storage_value_eur, rel=1e-9)


@pytest.mark.parametrize("seed", [0, 2])
def test_replanning_changes_nothing_where_nothing_is_learned(seed: int) -> None:
    """Plans of the rest of the day are worth what the plan of the whole day was."""
    day, signals = scene(some_jobs(seed, at_once=True)), truth(seed)
    once = accounted(day, policy(as_if_known(signals), HOURS, lead=T0), signals)
    often = accounted(day, policy(as_if_known(signals), 3, lead=T0), signals)
    paid = [it.terms.carbon_kg * 0.08 + it.cost_eur for it in (once, often)]
    assert paid[1] == pytest.approx(paid[0], abs=1e-4)


def test_what_is_known_later_changes_no_earlier_decision() -> None:
    """Every value known after a round, and every job that comes after it, might be another one."""
    revised = _issued_every_hour(seed=1)
    until = START + timedelta(hours=6)
    others = revised.copy()
    is_later = others["known_at"] > pd.Timestamp(until)
    others.loc[is_later, "value"] = others.loc[is_later, "value"] * 3 + 7
    jobs = some_jobs(4)
    changed = [
        it if it.spec.release_at <= until else job(it.spec.name, 1.0, release_at=it.spec.release_at)
        for it in jobs
    ]
    assert changed != jobs
    first = _rounds(scene(jobs), revised)
    second = _rounds(scene(changed), others)
    assert first[:2] == second[:2]  # planned at 23:55 and 05:55, and what happened until 11:55
    assert first[2] != second[2]


def test_a_plan_uses_what_was_known_last_when_it_was_made() -> None:
    """A revision after the round does not count; one before it does."""
    signals = truth()
    is_price = (signals["site"] == "FR") & (signals["kind"] == SignalKind.PRICE)
    early, late = START - timedelta(hours=2), START + timedelta(hours=3)
    revision = signals[is_price].assign(value=-500.0, known_at=pd.Timestamp(late))
    table = pd.concat([signals.assign(known_at=pd.Timestamp(early)), revision])
    states = [state for state, *_ in play(scene([]), policy(as_known(table)))]
    prices = [state.in_force.problem.site("FR").grid for state in states if state.in_force]
    assert min(prices[0].import_price_eur_per_mwh) > -500.0
    assert set(prices[1].import_price_eur_per_mwh) == {-500.0}


def test_past_errors_make_the_scenarios_that_are_planned_for() -> None:
    """After nine days of forecasts, each issued at midnight; before there are too few of them."""
    signals = truth(5, hours=11 * 24)
    told = [signals.assign(known_at=signals["start_at"] + pd.Timedelta(hours=1))]
    for day in range(11):
        issue = pd.Timestamp(START + timedelta(days=day))
        is_ahead = (signals["start_at"] >= issue) & (signals["start_at"] < issue + DAY)
        ahead = signals[is_ahead]
        off = 1 + 0.2 * np.random.default_rng(day).standard_normal(len(ahead))
        told.append(ahead.assign(value=ahead["value"] * off, known_at=issue))
    history = SignalHistory.of(pd.concat(told))

    def every_value(window: PlanWindow, now: datetime) -> pd.DataFrame:
        return history.every_value(Window(*history_span(window, 10)), now)

    begin = START + timedelta(days=10)
    jobs = [job("late", 3.0, release_at=begin, deadline_at=begin + timedelta(hours=HOURS))]
    spec = UncertaintySpec(scenarios=3, first_hours=6, history_days=10)
    rules = policy(as_known(pd.concat(told)), HOURS, lead=T0, history=every_value)
    day = Scene.of(fleet(), jobs, begin, begin + timedelta(hours=HOURS))
    (state, *_), *_ = play(day, replace(rules, uncertainty=spec))
    assert state.in_force is not None
    assert state.in_force.plan.outlook is not None
    (state, *_), *_ = play(day, rules)
    assert state.in_force is not None
    assert state.in_force.plan.outlook is None


def test_a_replay_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    """State and past are the same to the last digit, wherever it was cut."""
    day = scene(some_jobs(2, 4, stated=(0.7, 1.6)))
    rules = policy(as_known(_issued_every_hour()), 3)
    whole = Folder(tmp_path / "whole")
    n_chapters = len(list(play_kept(day, rules, whole, 2)))
    cut = Folder(tmp_path / "cut")
    for _ in range(n_chapters):
        next(iter(play_kept(day, rules, cut, 2)))  # killed in the middle of the chapter after
    assert list(play_kept(day, rules, cut, 2)) == []
    assert cut.read_state() == whole.read_state()
    chapters = cut.read_chapters(n_chapters)
    assert chapters == whole.read_chapters(n_chapters)
    assert any(chapter.past.runs for chapter in chapters)


def test_a_plan_that_cannot_be_made_leaves_the_one_before_in_force() -> None:
    """Without a price for any day there is no problem; what holds goes on, and a round says so."""
    day, signals = scene(some_jobs(n_jobs=2, at_once=True)), truth()

    def knows(span: object, now: object) -> pd.DataFrame:
        return signals if now == START else signals.iloc[:0]

    rounds = list(play(day, policy(knows, 12, lead=T0)))
    assert "no price" in rounds[1][2].refusal
    assert rounds[1][0].in_force == rounds[0][0].in_force


def test_who_runs_at_once_is_not_beaten_by_knowing_less() -> None:
    """The perfect forecast costs less than run-now on the same problem; else it plans nothing."""
    day, signals = scene(some_jobs(3, at_once=True)), truth(3)
    best = accounted(day, policy(as_if_known(signals), lead=T0), signals).terms
    now = baselines.run_now(true_problem(day, signals)).terms
    weighed = [it.money_eur - it.storage_value_eur + 0.08 * it.carbon_kg for it in (best, now)]
    assert weighed[0] < weighed[1]


def test_a_scene_refuses_jobs_that_it_does_not_hold() -> None:
    """A job that might run on after the end could not be settled."""
    with pytest.raises(ValueError, match=r"job late: may run in .* must be within"):
        scene([job("late", deadline_at=START + timedelta(hours=HOURS + 1))])


def _issued_every_hour(seed: int = 0) -> pd.DataFrame:
    """Every value forecast wrongly at START - 1 h, and measured at the end of its hour."""
    signals = truth(seed)
    guessed = truth(seed + 100).assign(known_at=pd.Timestamp(START - timedelta(hours=1)))
    measured = signals.assign(known_at=signals["start_at"] + pd.Timedelta(hours=1))
    return pd.concat([guessed, measured], ignore_index=True)


def _rounds(day: Scene, table: pd.DataFrame) -> list[tuple[object, Past]]:
    """Plans in force, and what happened, round by round."""
    rules: Policy = policy(as_known(table))
    return [(state.in_force, past) for state, past, _ in play(day, rules)]
