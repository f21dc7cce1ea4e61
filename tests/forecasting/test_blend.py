"""The blend pulls typical days to the value measured last, as far as the past says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.forecasting import (
    CARBON,
    PV,
    History,
    QuantileForecast,
    TooLittleHistory,
    blend,
    seasonal_naive,
)
from scheduler.forecasting.blending import last_error_left
from tests.forecasting.series import START, correlated, daily_shape, sunny


def forecast(history: History, *, hours: float = 48, made_by=blend) -> QuantileForecast:
    """Forecast carbon intensity from the end of a history on."""
    return made_by(
        history,
        CARBON,
        issued_at=history.end_at,
        start_at=history.end_at,
        n_intervals=int(hours * 60 / history.minutes),
    )


def test_the_next_hours_are_pulled_to_what_was_measured_last() -> None:
    """Thirty too much in the last hour: most is left in the next, little of it a day later."""
    history = correlated(60, by_hour=0.9)
    values = history.values.copy()
    values[-1] += 30
    lifted = forecast(History(START, 60, values)).median - forecast(history).median
    assert 24 < lifted[0] < 30
    assert lifted[4] < 0.8 * lifted[0]
    assert abs(lifted[30]) < 5


def test_white_noise_pulls_nothing() -> None:
    """Where errors do not last, the last one says nothing of the next."""
    history = daily_shape(60, noise=10.0)
    values = history.values.copy()
    values[-1] += 30
    lifted = forecast(History(START, 60, values)).median - forecast(history).median
    assert np.abs(lifted).max() < 6


def test_what_is_left_of_an_error_is_what_was_left_before() -> None:
    """Nine tenths an hour later, a tenth of the error after a day: as the series was made."""
    errors = correlated(400, by_hour=0.9).values - daily_shape(400).values
    origins = np.arange(100, len(errors) - 50)
    later = errors[origins[:, None] + np.arange(1, 25)[None, :]]
    left = last_error_left(errors[origins], later)
    np.testing.assert_allclose(left[:8], 0.9 ** np.arange(1, 9), atol=0.05)
    assert (np.diff(left) <= 0).all()


def test_it_misses_less_than_seasonal_naive_where_errors_last() -> None:
    """Mean absolute error over sixty issues, first six hours and second day."""
    truth = correlated(130, by_hour=0.95, seed=3)
    missed: dict[str, list[np.ndarray]] = {"blend": [], "naive": []}
    for day in range(66, 126):
        known = History(START, 60, truth.values[: day * 24 + day % 24])
        came = truth.values[len(known.values) : len(known.values) + 48]
        missed["blend"].append(np.abs(came - forecast(known).median))
        missed["naive"].append(np.abs(came - forecast(known, made_by=seasonal_naive).median))
    blended, naive = (np.array(missed[name]) for name in ("blend", "naive"))
    assert blended[:, :6].mean() < 0.6 * naive[:, :6].mean()
    assert blended[:, 24:].mean() < 0.9 * naive[:, 24:].mean()


def test_a_history_too_short_to_choose_by_is_forecast_by_the_season_and_says_so() -> None:
    """Two days are a forecast, not a choice."""
    made = forecast(daily_shape(2))
    assert made.method == "seasonal-naive"
    assert made.notes[-1] == "48 h of history are too short to blend by"


def test_pv_stays_dark_at_night() -> None:
    """Pulled or not: nothing at night, never below zero."""
    history = sunny(40)
    end = history.end_at
    made = blend(history, PV, issued_at=end, start_at=end, n_intervals=96)
    hour = np.arange(96) % 24
    assert not made.values[(hour < 6) | (hour > 18)].any()
    assert made.values.min() >= 0


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.one_of(st.floats(0, 3000), st.just(float("nan"))), min_size=30, max_size=90),
    changed=st.lists(st.floats(-1e6, 1e6), min_size=50, max_size=50),
    minutes=st.sampled_from([15, 30, 60]),
    repeat=st.integers(4, 30),
    gap=st.integers(0, 30),
)
def test_no_future_is_seen_and_no_quantiles_cross(
    values: list[float], changed: list[float], minutes: int, repeat: int, gap: int
) -> None:
    """Whatever was known, whatever comes after: the forecast is the same and ordered."""
    known = np.tile(values, repeat)
    history = History(START, minutes, known)
    start = history.end_at + gap * pd.Timedelta(minutes=minutes)
    later = History(START, minutes, np.concatenate([known, np.full(gap, np.nan), changed]))

    def made(seen: History) -> QuantileForecast:
        return blend(seen, CARBON, issued_at=start, start_at=start, n_intervals=50)

    try:
        first = made(history)
    except TooLittleHistory:
        with pytest.raises(TooLittleHistory):
            made(later)
        return
    np.testing.assert_array_equal(first.values, made(later).values)
    assert (np.diff(first.values, axis=1) >= 0).all()
