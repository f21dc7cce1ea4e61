"""A published forecast is pulled to what was measured last."""

from __future__ import annotations

import numpy as np

from scheduler.forecasting import Decay, History, corrected, fitted_decay
from tests.forecasting.series import START, correlated, daily_shape


def errors(days: int, by_hour: float) -> History:
    """Give errors of a forecast of which ``by_hour`` is left after an hour."""
    series = correlated(days, by_hour=by_hour)
    return History(START, 60, series.values - daily_shape(days).values)


def test_the_decay_is_that_of_past_errors() -> None:
    """Made with 0.9 an hour; nothing is said past the leads that were fitted."""
    decay = fitted_decay(errors(200, 0.9), 24)
    assert decay is not None
    np.testing.assert_allclose([decay.at(lead) for lead in (0, 1, 3)], [1, 0.9, 0.729], atol=0.06)
    assert decay.at(25) == 0


def test_a_day_of_errors_is_no_reason_to_change_a_forecast() -> None:
    """Less than two days of what was forecast and then came."""
    assert fitted_decay(errors(1, 0.9), 24) is None


def test_each_interval_is_pulled_by_what_is_left_when_it_comes() -> None:
    """Two hours since the last measurement: the first interval gets the second share."""
    decay = Decay(60, np.array([0.8, 0.5, 0.2]))
    np.testing.assert_allclose(
        corrected(np.full(4, 100.0), 20.0, 2, decay), [110.0, 104.0, 100.0, 100.0]
    )


def test_no_value_is_pulled_below_its_least() -> None:
    """Carbon intensity is never negative."""
    decay = Decay(60, np.array([0.9, 0.9]))
    np.testing.assert_array_equal(corrected(np.full(2, 5.0), -50.0, 1, decay, least=0.0), [0, 0])


def test_correcting_real_like_errors_makes_them_smaller() -> None:
    """Over the second half of a series whose decay was fitted on the first."""
    series = errors(200, 0.9)
    half = len(series.values) // 2
    decay = fitted_decay(History(START, 60, series.values[:half]), 12)
    assert decay is not None
    origins = np.arange(half, len(series.values) - 12)
    before, after = [], []
    for origin in origins:
        came = series.values[origin + 1 : origin + 13]
        before.append(np.abs(came).mean())
        forecast = corrected(np.zeros(12), float(series.values[origin]), 1, decay)
        after.append(np.abs(came - forecast).mean())
    assert np.mean(after) < 0.9 * np.mean(before)
