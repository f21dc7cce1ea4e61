"""Forecasts are bettered by what was measured, and by nothing that came later."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from connectors.types import SignalKind, Window
from scheduler.backtest.foresight import bettered_as_known
from scheduler.backtest.known import SignalHistory
from scheduler.services.window import PlanWindow
from tests.services.builders import START

DAYS, AHEAD = 20, 48
NOW = START + timedelta(days=15) - timedelta(minutes=5)
WINDOW = PlanWindow(START + timedelta(days=15), 60, AHEAD)


def table(seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Carbon of twenty days that are alike, forecast every midnight too low by 60 from day two on.

    Also what truly came, by start.
    """
    rng = np.random.default_rng(seed)
    starts = pd.date_range(START, periods=DAYS * 24, freq="h")
    came = 300 + 80 * np.sin(2 * np.pi * starts.hour / 24) + rng.normal(0, 8, len(starts))
    truth = pd.Series(came, index=starts)
    measured = pd.DataFrame(
        {"start_at": starts, "value": came, "known_at": starts + pd.Timedelta(hours=1)}
    )
    frames = [measured]
    for day in range(DAYS - 2):
        issue = pd.Timestamp(START) + pd.Timedelta(days=day)
        ahead = truth[issue : issue + pd.Timedelta(hours=AHEAD - 1)]
        off = np.where(np.arange(len(ahead)) < 24, rng.normal(0, 8, len(ahead)), -60.0)
        frames.append(
            pd.DataFrame({"start_at": ahead.index, "value": ahead + off, "known_at": issue})
        )
    whole = pd.concat(frames, ignore_index=True)
    return whole.assign(site="DE", kind=SignalKind.CARBON_INTENSITY, minutes=60), truth


def ahead_at(whole: pd.DataFrame, now: datetime = NOW) -> pd.Series:
    """What a plan is made from, by start."""
    frame = bettered_as_known(SignalHistory.of(whole))(WINDOW, now)
    rows = frame[frame["start_at"] >= pd.Timestamp(WINDOW.start)]
    return rows.set_index("start_at")["value"]


def test_the_future_is_not_seen() -> None:
    """Everything known later might be anything."""
    whole, _ = table()
    other = whole.copy()
    is_later = other["known_at"] > pd.Timestamp(NOW)
    assert is_later.any()
    other.loc[is_later, "value"] = 1e6
    assert ahead_at(whole).tolist() == ahead_at(other).tolist()


def test_before_anything_is_known_of_it_a_forecast_stands() -> None:
    """On the first days there are no errors to judge by."""
    whole, _ = table()
    window = PlanWindow(START, 60, AHEAD)
    found = bettered_as_known(SignalHistory.of(whole))(window, START)
    issued = whole[whole["known_at"] == pd.Timestamp(START)]
    assert found["value"].tolist() == pytest.approx(issued["value"].tolist())


def test_as_in_production_the_next_hours_are_pulled_by_the_last_error() -> None:
    """Of which hours later something is left."""
    whole, _ = table()
    # The forecast of the last day known was 50 too low in every hour: that lasts.
    last = pd.Timestamp(WINDOW.start) - pd.Timedelta(days=1)
    is_last = (whole["known_at"] <= last) & (whole["start_at"] >= last)
    whole.loc[is_last & (whole["start_at"] < pd.Timestamp(WINDOW.start)), "value"] -= 50.0
    span = Window(WINDOW.start, WINDOW.end)
    published = SignalHistory.of(whole).as_known(span, NOW).set_index("start_at")["value"]
    ahead = ahead_at(whole)
    assert (ahead - published[ahead.index]).iloc[0] > 20.0


def test_as_in_production_days_that_were_always_off_are_weighed_against_days_alike() -> None:
    """Of the second day ahead the forecast is 60 too low, yesterday is not."""
    whole, truth = table()
    ahead = ahead_at(whole)
    missed = np.abs(ahead - truth[ahead.index])
    assert missed.mean() < 20.0
