"""Seasonal-naive: what was there a season ago, with the error it had before."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.forecasting import (
    BASE_LOAD,
    CARBON,
    PRICE,
    PV,
    History,
    QuantileForecast,
    TooLittleHistory,
    Traits,
    seasonal_naive,
)
from tests.forecasting.series import START, daily_shape, sunny

HOUR = pd.Timedelta(hours=1)
DAY = pd.Timedelta(days=1)


def forecast(
    history: History, traits: Traits, *, hours: float = 48, after_h: float = 0
) -> QuantileForecast:
    """Forecast from the end of a history, or some hours after it."""
    start = history.end_at + after_h * HOUR
    return seasonal_naive(
        history,
        traits,
        issued_at=history.end_at,
        start_at=start,
        n_intervals=int(hours * 60 / history.minutes),
    )


@pytest.mark.parametrize("minutes", [5, 15, 30, 60])
def test_a_day_like_all_days_is_forecast_exactly_in_any_resolution(minutes: int) -> None:
    """Nothing was ever missed, so all quantiles are one."""
    history = daily_shape(20, minutes)
    made = forecast(history, CARBON)
    expected = daily_shape(22, minutes).values[len(history.values) :]
    for level in made.levels:
        np.testing.assert_allclose(made.at(level), expected, atol=1e-9)
    assert made.minutes == minutes
    assert made.start_at == history.end_at
    assert not made.notes


def test_a_week_is_the_season_of_prices_and_a_day_that_of_carbon() -> None:
    """Saturdays and Sundays are low; the forecast begins on a Saturday."""
    days = np.arange(40 * 24) // 24 % 7
    history = History(START, 60, np.where(days >= 5, 10.0, 50.0)[: 33 * 24])
    np.testing.assert_allclose(forecast(history, PRICE).median, 10.0)
    by_day = forecast(history, CARBON, hours=24)
    assert by_day.at(0.05).max() < by_day.at(0.95).min() - 30


def test_leads_beyond_a_season_take_the_last_day_there_is() -> None:
    """Day 3 ahead looks like today, not like a day that was not known."""
    history = daily_shape(3)
    later = forecast(history, CARBON, hours=24, after_h=60)
    first = forecast(history, CARBON, hours=96)
    np.testing.assert_allclose(later.median, first.median[60:84])


def test_about_as_many_values_lie_between_two_quantiles_as_they_say() -> None:
    """P10 to P90 of noise that never changes holds four fifths of what then comes."""
    truth = daily_shape(140, noise=10.0, seed=4)
    inside = []
    for day in range(60, 136):
        known = History(START, 60, truth.values[: day * 24])
        made = forecast(known, CARBON, hours=96)
        came = truth.values[day * 24 : day * 24 + 96]
        inside.append((came >= made.at(0.1)) & (came <= made.at(0.9)))
    assert 0.77 <= np.mean(inside) <= 0.83


def test_errors_differ_by_hour_of_day_where_history_says_so() -> None:
    """Noon is uncertain, midnight is not; leads are told apart by the hour they fall on."""
    rng = np.random.default_rng(1)
    noon = np.arange(60 * 24) % 24 == 12
    values = 100 + np.where(noon, 30, 0.5) * rng.standard_normal(60 * 24)
    made = forecast(History(START, 60, values), CARBON, hours=24)
    width = made.at(0.9) - made.at(0.1)
    assert width[12] > 10 * width[0]


def test_one_day_of_history_is_enough_and_says_so() -> None:
    """No season to compare with: the spread is that of the day, and a note tells."""
    made = forecast(daily_shape(1), PRICE)
    np.testing.assert_allclose(made.median, daily_shape(3).values[24:72])
    assert (made.at(0.9) - made.at(0.1)).min() > 0
    assert [note.split(":")[0] for note in made.notes] == [
        "only 24 h of history",
        "its spread is that of the values themselves",
    ]


def test_less_than_a_day_is_refused_with_what_there_is() -> None:
    """Twenty hours, and a day of which most is missing."""
    with pytest.raises(TooLittleHistory, match="20 h of values within 20 h"):
        forecast(daily_shape(20 / 24), CARBON)
    holes = daily_shape(2).values.copy()
    holes[1:-1] = np.nan
    with pytest.raises(TooLittleHistory, match="2 h of values within 48 h"):
        forecast(History(START, 60, holes), CARBON)


def test_gaps_are_bridged_from_a_season_before() -> None:
    """Yesterday's noon is missing; the day before has one."""
    history = daily_shape(10)
    holes = history.values.copy()
    holes[9 * 24 + 10 : 9 * 24 + 14] = np.nan
    made = forecast(History(START, 60, holes), CARBON, hours=24)
    np.testing.assert_allclose(made.median, daily_shape(1).values, atol=1e-9)


def test_pv_is_never_negative_nor_there_at_night() -> None:
    """Every quantile of every hour of darkness is zero, and none is below it."""
    made = forecast(sunny(30), PV, hours=96)
    hour = np.arange(96) % 24
    assert not made.values[(hour <= 6) | (hour >= 18)].any()
    assert made.values.min() >= 0
    assert made.at(0.9)[12] > made.at(0.1)[12] > 0


def test_no_quantile_is_far_from_all_that_was_seen() -> None:
    """Half of the range beyond what was seen is the limit."""
    values = np.zeros(60 * 24)
    values[::24] = np.where(np.arange(60) % 2, 100.0, -100.0)
    made = forecast(History(START, 60, values), Traits())
    assert made.values.max() <= 200
    assert made.values.min() >= -200


histories = st.lists(
    st.one_of(st.floats(-500, 3000), st.just(float("nan"))), min_size=30, max_size=120
)


@settings(max_examples=80, deadline=None)
@given(
    values=histories,
    changed=st.lists(st.floats(-1e6, 1e6), min_size=50, max_size=50),
    minutes=st.sampled_from([5, 15, 30, 60]),
    repeat=st.integers(4, 30),
    gap=st.integers(0, 40),
    traits=st.sampled_from([PRICE, CARBON, PV, BASE_LOAD]),
)
def test_no_future_is_seen_and_no_quantiles_cross(
    values: list[float],
    changed: list[float],
    minutes: int,
    repeat: int,
    gap: int,
    traits: Traits,
) -> None:
    """Whatever was known, whatever comes after: the forecast is the same, ordered and bounded."""
    known = np.tile(values, repeat)
    history = History(START, minutes, known)
    start = history.end_at + gap * pd.Timedelta(minutes=minutes)
    later = np.concatenate([known, np.full(gap, np.nan), changed])
    made = []
    for seen in (history, History(START, minutes, later)):
        try:
            made.append(
                seasonal_naive(seen, traits, issued_at=start, start_at=start, n_intervals=60)
            )
        except TooLittleHistory:
            span = np.isfinite(known).nonzero()[0]
            assert len(span) * minutes < 24 * 60
            return
    np.testing.assert_array_equal(made[0].values, made[1].values)
    assert (np.diff(made[0].values, axis=1) >= 0).all()
    assert made[0].values.min() >= traits.least
