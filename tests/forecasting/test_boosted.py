"""The boosted model learns what the blend misses, and is used where it misses less."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from scheduler.forecasting import CARBON, PV, History, TooLittleHistory, Traits, blend
from scheduler.forecasting.boosted import (
    HELD_OUT_DAYS,
    MODEL_LEVELS,
    BoostedModel,
    boosted,
    fit_boosted,
)
from scheduler.forecasting.drivers import Driver
from scheduler.forecasting.features import features, made_ready
from tests.forecasting.series import START, daily_shape, sunny

pytest.importorskip("lightgbm", reason="LightGBM, the extra for boosted forecasts, is missing")

DAY = pd.Timedelta(days=1)
N_DAYS = 330
LEADS = 48


@cache
def windy(seed: int = 0) -> tuple[History, Driver]:
    """Give carbon intensity that falls with the wind, and daily forecasts of the wind."""
    rng = np.random.default_rng(seed)
    count = N_DAYS * 24
    wind = np.zeros(count)
    for hour in range(1, count):
        wind[hour] = 0.97 * wind[hour - 1] + rng.standard_normal()
    values = 300 + 40 * np.sin(2 * np.pi * np.arange(count) / 24) - 15 * wind
    history = History(START, 60, values + 5 * rng.standard_normal(count))
    issues = np.arange(0, count, 24)
    ahead = np.minimum(issues[:, None] + np.arange(72)[None, :], count - 1)
    return history, Driver(START, 60, issues, wind[ahead])


@cache
def model(*, is_driven: bool) -> BoostedModel:
    """Fit on all but the last month."""
    history, driver = windy()
    return fit_boosted(until(history, N_DAYS - 30), CARBON, LEADS, (driver,) * is_driven)


def until(history: History, day: int) -> History:
    """Give what lies before the end of a day."""
    return History(history.start_at, history.minutes, history.values[: day * 24])


def test_a_past_origin_is_seen_as_it_was_then() -> None:
    """What came after an origin changes no feature of it, or models learn from what is to come."""
    history, driver = windy()
    origins, leads = np.array([200 * 24 + 7]), np.arange(LEADS)
    pulled = model(is_driven=True).pulled
    seen = []
    for end in (origins[0], len(history.values)):
        known = History(START, 60, history.values[:end])
        seen.append(features(made_ready(known, known.values, (driver,)), pulled, origins, leads))
    np.testing.assert_allclose(*seen)


def test_what_drives_a_signal_and_is_published_makes_its_forecast_better() -> None:
    """With forecasts of the wind it misses half of what the blend does, on a month held out."""
    history, driver = windy()
    missed: dict[str, list[float]] = {"boosted": [], "blend": []}
    inside = []
    for day in range(N_DAYS - 30, N_DAYS - 2):
        known = until(history, day)
        when = {"issued_at": known.end_at, "start_at": known.end_at, "n_intervals": LEADS}
        came = history.values[day * 24 : day * 24 + LEADS]
        made = boosted(model(is_driven=True), known, CARBON, drivers=(driver,), **when)
        missed["boosted"].append(float(np.abs(came - made.median).mean()))
        missed["blend"].append(float(np.abs(came - blend(known, CARBON, **when).median).mean()))
        inside.append((came >= made.at(0.1)) & (came <= made.at(0.9)))
        assert made.method == "boosted"
    assert np.mean(missed["boosted"]) < 0.75 * np.mean(missed["blend"])
    assert 0.7 <= np.mean(inside) <= 0.97


def test_a_model_that_misses_more_than_the_blend_is_not_used() -> None:
    """What the wind did to carbon turned round in the weeks held out: the blend stands."""
    history, driver = windy()
    swing = daily_shape(N_DAYS).values
    turned = history.values.copy()
    held_out = slice(-HELD_OUT_DAYS * 24, None)
    turned[held_out] = 2 * (300 + swing[held_out]) - turned[held_out]
    upset = History(START, 60, turned)
    fitted = fit_boosted(upset, CARBON, LEADS, (driver,))
    assert not fitted.is_used[1:3].any()
    end = upset.end_at
    when = {"issued_at": end, "start_at": end, "n_intervals": LEADS}
    made = boosted(fitted, upset, CARBON, drivers=(driver,), **when)
    base = blend(upset, CARBON, levels=MODEL_LEVELS, **when)
    np.testing.assert_array_equal(made.values[6:], base.values[6:])


def test_the_same_history_gives_the_same_model() -> None:
    """Fitted twice, it forecasts the same to the last digit."""
    history, driver = windy()
    known = until(history, N_DAYS - 30)
    again = fit_boosted(known, CARBON, LEADS, (driver,))
    when = {"issued_at": known.end_at, "start_at": known.end_at, "n_intervals": LEADS}
    first = boosted(model(is_driven=True), known, CARBON, drivers=(driver,), **when)
    second = boosted(again, known, CARBON, drivers=(driver,), **when)
    np.testing.assert_array_equal(first.values, second.values)


def test_no_future_is_seen_and_no_quantiles_cross() -> None:
    """Other values after the issue, and issues of drivers made later, change nothing."""
    history, driver = windy()
    day = N_DAYS - 20
    known = until(history, day)
    when = {"issued_at": known.end_at, "start_at": known.end_at, "n_intervals": LEADS}
    later = driver.values.copy()
    later[driver.issues > day * 24] = 1e6
    changed = Driver(driver.start_at, 60, driver.issues, later)
    wild = History(START, 60, np.concatenate([known.values, np.full(200, 1e5)]))
    fitted = model(is_driven=True)
    first = boosted(fitted, known, CARBON, drivers=(driver,), **when)
    np.testing.assert_array_equal(
        first.values, boosted(fitted, wild, CARBON, drivers=(changed,), **when).values
    )
    assert (np.diff(first.values, axis=1) >= 0).all()
    assert first.levels == MODEL_LEVELS


def test_a_model_knows_nothing_of_what_came_after_its_fit() -> None:
    """Values after the history it is given are not in it."""
    history, _ = windy()
    fitted = fit_boosted(until(history, 200), CARBON, LEADS)
    assert fitted.fitted_at == START + 200 * DAY
    assert HELD_OUT_DAYS < 200


def test_pv_stays_dark_at_night_and_is_never_negative() -> None:
    """Also where the model is used."""
    history = sunny(200)
    fitted = fit_boosted(history, PV, LEADS)
    end = history.end_at
    made = boosted(fitted, history, PV, issued_at=end, start_at=end, n_intervals=LEADS)
    hour = np.arange(LEADS) % 24
    assert not made.values[(hour < 6) | (hour > 18)].any()
    assert made.values.min() >= 0


def test_leads_past_the_end_of_the_model_are_the_blends() -> None:
    """Fitted for two days and asked for four."""
    history, driver = windy()
    known = until(history, N_DAYS - 20)
    when = {"issued_at": known.end_at, "start_at": known.end_at, "n_intervals": 96}
    made = boosted(model(is_driven=True), known, CARBON, drivers=(driver,), **when)
    base = blend(known, CARBON, levels=MODEL_LEVELS, **when)
    np.testing.assert_array_equal(made.values[LEADS:], base.values[LEADS:])
    assert (made.values[24:LEADS] != base.values[24:LEADS]).any()


def test_too_short_a_history_and_another_models_inputs_are_refused() -> None:
    """A hundred days; PV that never shone; other drivers; another resolution."""
    history, driver = windy()
    with pytest.raises(TooLittleHistory, match="100 days, must be at least 150"):
        fit_boosted(until(history, 100), CARBON, LEADS)
    with pytest.raises(TooLittleHistory, match="0 samples, must be at least 1000"):
        fit_boosted(History(START, 60, np.zeros(200 * 24)), PV, LEADS)
    end = history.end_at
    when = {"issued_at": end, "start_at": end, "n_intervals": LEADS}
    with pytest.raises(ValueError, match="fitted with 1 drivers, given 0"):
        boosted(model(is_driven=True), history, Traits(), **when)
    quarters = daily_shape(10, 15)
    with pytest.raises(ValueError, match="fitted to 60 minutes, history has 15"):
        boosted(model(is_driven=True), quarters, Traits(), drivers=(driver,), **when)
