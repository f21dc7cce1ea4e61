"""Boosted models are fitted while a worker is idle; no plan waits for one."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from connectors.types import SignalKind
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.forecast_models import (
    LASTS,
    ModelDue,
    ModelKey,
    ModelShelf,
    fit_model,
    model_due,
)
from scheduler.services.forecast_records import due_forecasts, issue_due, store_forecasts
from scheduler.services.own_forecasts import Helped, ShortSignal, driver_of, issue
from scheduler.services.signals import SignalPoint, insert_values
from scheduler.specs import ForecastMethod
from scheduler.worker import Worker
from tests.services.builders import START, fleet_spec, window
from tests.services.scene import Scene

CARBON, WIND = SignalKind.CARBON_INTENSITY, SignalKind.ZONE_WIND_FORECAST
KEY = ModelKey("DE", CARBON, 60)
HOUR = timedelta(hours=1)
N_DAYS = 170


def windy(seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give carbon that falls with the wind, and the wind as published day by day."""
    rng = np.random.default_rng(seed)
    count = N_DAYS * 24
    wind = np.zeros(count + 72)
    for hour in range(1, len(wind)):
        wind[hour] = 0.97 * wind[hour - 1] + rng.standard_normal()
    begin = START - count * HOUR
    starts = pd.date_range(begin, periods=count, freq="h")
    carbon = 300 - 15 * wind[:count] + 5 * rng.standard_normal(count)
    measured = pd.DataFrame(
        {"start_at": starts, "minutes": 60, "value": carbon, "known_at": starts + HOUR}
    )
    issues = [
        pd.DataFrame(
            {
                "start_at": pd.date_range(begin + day * 24 * HOUR, periods=72, freq="h"),
                "minutes": 60,
                "value": wind[day * 24 : day * 24 + 72],
                "known_at": pd.Timestamp(begin + day * 24 * HOUR),
            }
        )
        for day in range(N_DAYS + 1)
    ]
    return measured, pd.concat(issues, ignore_index=True)


@pytest.fixture(autouse=True)
def _with_the_extra() -> None:
    pytest.importorskip("lightgbm", reason="LightGBM, the extra for boosted forecasts, is missing")


def test_a_model_and_what_drives_it_make_a_better_forecast() -> None:
    """Published wind is seen by the forecast of carbon, which the blend knows nothing of."""
    measured, wind = windy()
    model = fit_model(ModelDue(KEY, 72, START, measured, {WIND: wind}))
    assert model is not None
    short = ShortSignal("DE", CARBON, START, START + 24 * HOUR, 60)
    helped = Helped(model, {WIND: wind})
    with_wind = issue(short, measured, ForecastMethod.BOOSTED, START, helped)
    without = issue(short, measured, ForecastMethod.BOOSTED, START)
    silent = issue(short, measured, ForecastMethod.BOOSTED, START, Helped(model, {}))
    assert with_wind is not None
    assert without is not None
    assert silent is not None
    assert (with_wind.forecast.method, without.forecast.method) == ("boosted", "blend")
    came = 300 - 15 * wind[wind["known_at"] == START]["value"].to_numpy()[:24]
    missed = [float(np.abs(came - one.forecast.median).mean()) for one in (with_wind, without)]
    assert missed[0] < 0.8 * missed[1]
    assert np.isfinite(silent.forecast.values).all()


def test_a_driver_that_becomes_known_later_is_not_seen() -> None:
    """Coarse values are held; what is published after the instant is not there."""
    rows = pd.DataFrame(
        {
            "start_at": [pd.Timestamp(START), pd.Timestamp(START)],
            "minutes": [60, 60],
            "value": [5.0, 9.0],
            "known_at": [pd.Timestamp(START), pd.Timestamp(START + HOUR)],
        }
    )
    driver = driver_of(rows, 15, pd.Timestamp(START))
    np.testing.assert_array_equal(driver.at(0, np.array([0]), np.arange(4)), [[5.0] * 4])
    nothing = driver_of(rows.iloc[1:], 15, pd.Timestamp(START))
    assert np.isnan(nothing.at(0, np.array([0]), np.arange(4))).all()


def test_too_short_a_history_has_no_model_and_is_not_tried_again_for_a_day() -> None:
    """Forty days are not enough; planning goes on with the blend."""
    measured, _ = windy()
    due = ModelDue(KEY, 72, START, measured.iloc[-40 * 24 :], {})
    assert fit_model(due) is None
    shelf = ModelShelf()
    shelf.put(KEY, None, START)
    assert shelf.find(KEY) is None
    assert not shelf.is_due(KEY, START + LASTS / 2)
    assert shelf.is_due(KEY, START + LASTS)


def _stored(scene: Scene, rows: pd.DataFrame, kind: SignalKind) -> None:
    with transaction(scene.sessions) as session:
        points = [
            SignalPoint("DE", kind, start.to_pydatetime(), 60, float(value), known.to_pydatetime())
            for start, value, known in zip(
                rows["start_at"], rows["value"], rows["known_at"], strict=True
            )
        ]
        insert_values(session, points, "meter")


def _due(scene: Scene, shelf: ModelShelf, now: datetime) -> ModelDue | None:
    with transaction(scene.sessions) as session:
        return model_due(session, shelf, now)


def test_an_idle_worker_fits_what_was_forecast_lately(sessions: SessionFactory) -> None:
    """Nothing before a forecast asked for it, one model after, and none again on that day."""
    fleet = fleet_spec(planning={"forecast": "boosted", "correct_published": False})
    scene = Scene(sessions, at=START).set_up(fleet, hours=1)
    measured, _ = windy()
    _stored(scene, measured, CARBON)
    worker = Worker(sessions, scene.now, threading.Event())
    assert not worker.fit_one()
    with transaction(sessions) as session:
        due = due_forecasts(session, fleet, window(24), START)
    issued = issue_due(due, ModelShelf(), START)
    assert {one.forecast.method for one in issued} == {"blend"}
    with transaction(sessions) as session:
        store_forecasts(session, issued)
    shelf = ModelShelf()
    found = _due(scene, shelf, START)
    assert found is not None
    assert found.key == KEY
    scene.wait(minutes=2)
    assert worker.fit_one()
    assert not worker.fit_one()


def test_a_fleet_that_does_not_ask_for_models_gets_none(sessions: SessionFactory) -> None:
    """The blend needs no fitting."""
    scene = Scene(sessions, at=START).set_up(hours=1)
    assert _due(scene, ModelShelf(), START) is None
