"""Published forecasts are planned with as what was measured tells."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import func, select

from connectors.types import SignalKind
from scheduler.db.models import ForecastFit
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.assemble import Assembled
from scheduler.services.forecast_fits import (
    KEPT_DAYS,
    LASTS,
    MOST_AGE,
    fits_due,
    known_fits,
)
from scheduler.services.planning_inputs import read_inputs
from scheduler.services.signals import SignalPoint, insert_values
from scheduler.worker import Worker
from tests.services.builders import START, fleet_spec
from tests.services.scene import Scene

CARBON = SignalKind.CARBON_INTENSITY
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PAST_HOURS, AHEAD_HOURS = 20 * 24, 24
TOLD = 300.0
LAST_ERROR = 60.0


def stored(scene: Scene, points: list[SignalPoint]) -> None:
    """Take in values."""
    with transaction(scene.sessions) as session:
        insert_values(session, points, "zone")


def told(
    start: datetime, hours: int, known_at: datetime, kind: SignalKind = CARBON
) -> list[SignalPoint]:
    """A forecast of ``hours``, published at ``known_at``."""
    return [SignalPoint("DE", kind, start + k * HOUR, 60, TOLD, known_at) for k in range(hours)]


def off_for_days(scene: Scene, kind: SignalKind) -> None:
    """Take in twenty days of a forecast, and what came: its errors last, the last one is 60."""
    begin = START - PAST_HOURS * HOUR
    rng = np.random.default_rng(0)
    errors = np.zeros(PAST_HOURS)
    for hour in range(1, PAST_HOURS):
        errors[hour] = 0.9 * errors[hour - 1] + rng.normal(0, 10)
    errors[-1] = LAST_ERROR
    measured = [
        SignalPoint("DE", kind, start, 60, TOLD + float(error), start + HOUR)
        for start, error in zip((begin + k * HOUR for k in range(PAST_HOURS)), errors, strict=True)
    ]
    stored(scene, told(begin, PAST_HOURS, begin - HOUR, kind))
    stored(scene, measured)


@pytest.fixture
def scene(sessions: SessionFactory) -> Scene:
    """Twenty days of a forecast of 300 whose errors last for hours; 60 too low in the last one."""
    made = Scene(sessions, at=START).set_up(hours=AHEAD_HOURS)
    off_for_days(made, CARBON)
    made.wait(minutes=1)
    stored(made, told(START, AHEAD_HOURS, made.at))
    return made


def fitted(scene: Scene) -> None:
    """What an idle worker does, to its end."""
    worker = Worker(scene.sessions, scene.now, threading.Event())
    while worker.fit_one():
        pass


def assembled(scene: Scene) -> Assembled:
    """The inputs of a plan of 24 h from START."""
    with transaction(scene.sessions) as session:
        return read_inputs(session, scene.run(scene.queue()), scene.at).assemble()


def carbon_of(scene: Scene) -> np.ndarray:
    """What such a plan takes carbon intensity to be."""
    return np.asarray(assembled(scene).problem.sites[0].grid.carbon_g_per_kwh)


def sources_of(scene: Scene) -> tuple[str, ...]:
    """What such a plan says its carbon intensity is from."""
    return next(one.sources for one in assembled(scene).inputs if one.kind is CARBON)


def test_a_forecast_that_was_too_low_is_raised_in_the_next_hours_and_less_so_later(
    scene: Scene,
) -> None:
    """By what is left of the last error, and the plan says that it was corrected."""
    fitted(scene)
    pulls = carbon_of(scene) - TOLD
    assert pulls[0] == pytest.approx(0.9 * LAST_ERROR, rel=0.15)
    assert (np.diff(pulls) <= 1e-9).all()
    assert pulls[-1] < 0.3 * LAST_ERROR
    assert sources_of(scene) == ("zone, corrected",)


def test_a_forecast_that_yesterday_would_have_been_better_than_is_weighed(
    sessions: SessionFactory,
) -> None:
    """Days are alike, and every forecast of them was half as high as what came."""
    scene = Scene(sessions, at=START).set_up(hours=AHEAD_HOURS)
    scene.wait(minutes=1)
    day = 300.0 + 100.0 * np.sin(2 * np.pi * np.arange(24) / 24)
    for days in range(20, -1, -1):
        begin = START - days * DAY
        halves = [(begin + k * HOUR, 0.5 * day[k], begin + MINUTE) for k in range(24)]
        came = [(begin + k * HOUR, day[k], begin + (k + 1) * HOUR) for k in range(24)]
        for upload in (halves, came)[: 1 + (days > 0)]:
            points = [
                SignalPoint("DE", CARBON, start, 60, float(value), known_at)
                for start, value, known_at in upload
            ]
            stored(scene, points)
    fitted(scene)
    assert carbon_of(scene) == pytest.approx(day, abs=0.5)
    assert "weighed" in ", ".join(sources_of(scene))


def test_before_the_first_fit_it_is_planned_with_as_published(scene: Scene) -> None:
    """No plan waits for a fit."""
    assert carbon_of(scene).tolist() == [TOLD] * AHEAD_HOURS
    assert sources_of(scene) == ("zone",)


def test_a_fleet_that_wants_it_as_published_has_it_so(scene: Scene) -> None:
    """Nothing is fitted, and what was fitted is not used."""
    fitted(scene)
    plain = fleet_spec(planning={"correct_published": False})
    scene.set_up(plain, hours=0)
    assert carbon_of(scene).tolist() == [TOLD] * AHEAD_HOURS
    scene.wait(days=3)
    with transaction(scene.sessions) as session:
        assert fits_due(session, scene.at) is None


def test_prices_are_as_published(scene: Scene) -> None:
    """They do not change once they are known, however far off those of before were."""
    off_for_days(scene, SignalKind.PRICE)
    fitted(scene)
    grid = assembled(scene).problem.sites[0].grid
    assert set(grid.import_price_eur_per_mwh) == {50.0, 10.0}


def test_it_is_fitted_once_a_day_and_what_was_known_at_an_instant_can_be_told(
    scene: Scene,
) -> None:
    """A fit is used from its instant on, for a week at most."""
    fitted(scene)
    with transaction(scene.sessions) as session:
        assert fits_due(session, scene.at + LASTS - HOUR) is None
        assert fits_due(session, scene.at + LASTS) is not None
        signal = ("DE", CARBON)
        assert signal in known_fits(session, ["DE"], scene.at).decays
        assert signal not in known_fits(session, ["DE"], scene.at - HOUR).decays
        assert signal not in known_fits(session, ["DE"], scene.at + MOST_AGE).decays


def test_a_signal_of_which_too_little_is_known_is_not_tried_again_at_once(
    sessions: SessionFactory,
) -> None:
    """An empty fit is on record; plans have its forecast as published."""
    young = Scene(sessions, at=START).set_up(hours=AHEAD_HOURS)
    fitted(young)
    with transaction(sessions) as session:
        kept = session.get_one(ForecastFit, ("DE", CARBON, START))
        assert kept.left == []
        assert fits_due(session, START + HOUR) is None
        found = known_fits(session, ["DE"], START + HOUR)
        assert (found.weights, found.decays) == ({}, {})
    assert carbon_of(young).tolist() == [200.0] * AHEAD_HOURS


def test_fits_of_more_than_a_year_ago_are_forgotten(scene: Scene) -> None:
    """Those that plans of the last year were made with can be told."""
    with transaction(scene.sessions) as session:
        for days in (KEPT_DAYS - 1, KEPT_DAYS + 1):
            at = scene.at - days * DAY
            fit = ForecastFit(site="DE", kind=CARBON, fitted_at=at, minutes=60, left=[], weights=[])
            session.add(fit)
    fitted(scene)
    with transaction(scene.sessions) as session:
        oldest = session.scalar(select(func.min(ForecastFit.fitted_at)))
    assert oldest == scene.at - (KEPT_DAYS - 1) * DAY


def test_a_fit_that_fails_costs_the_correction_and_not_the_worker(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says why, plans have the forecast as published, and it is not tried at once."""

    def fails(*_: object) -> None:
        raise ZeroDivisionError("of errors that nobody thought of")

    monkeypatch.setattr("scheduler.services.forecast_fits.fitted", fails)
    fitted(scene)
    assert "errors of forecasts at DE: not fitted" in caplog.text
    assert carbon_of(scene).tolist() == [TOLD] * AHEAD_HOURS
    with transaction(scene.sessions) as session:
        assert fits_due(session, scene.at + HOUR) is None


def test_an_error_of_days_ago_pulls_nothing(scene: Scene) -> None:
    """Where the measurements have stopped, nobody knows how far off the forecast is."""
    fitted(scene)
    scene.wait(days=3)
    stored(scene, told(START + 3 * DAY, AHEAD_HOURS, scene.at))
    with transaction(scene.sessions) as session:
        run = scene.run(scene.queue("later", window_start=START + 3 * DAY))
        signals = read_inputs(session, run, scene.at).signals
    assert not signals["source"].astype(str).str.contains("corrected").any()
