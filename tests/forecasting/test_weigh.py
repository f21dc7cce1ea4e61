"""Published forecasts are weighed against earlier days, where that misses less."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.forecasting import Weights, fitted_weights, weighed

N = 400
AGE_0 = np.zeros(N, dtype=int)


def drawn(seed: int = 0) -> np.ndarray:
    """What was measured."""
    return np.random.default_rng(seed).uniform(100.0, 300.0, N)


def candidates(came: np.ndarray, *spreads: float, seed: int = 1) -> np.ndarray:
    """Three candidates with errors of these spreads that know nothing of each other."""
    rng = np.random.default_rng(seed)
    return np.column_stack([came + rng.normal(0.0, spread, len(came)) for spread in spreads])


def fitted(
    tried: np.ndarray, came: np.ndarray, ages: np.ndarray, minutes: int = 60
) -> Weights | None:
    """Fit to one forecast of each interval."""
    return fitted_weights(tried, came, ages, np.arange(len(came)), minutes)


def test_a_forecast_that_is_twice_what_comes_counts_half() -> None:
    """And nothing else counts beside what was then never wrong."""
    came = drawn()
    noise = np.random.default_rng(2).uniform(0.0, 10.0, (N, 2))
    found = fitted(np.column_stack([2.0 * came, noise]), came, AGE_0)
    assert found is not None
    assert found.by_age[0] == pytest.approx([0.5, 0.0, 0.0], abs=1e-6)


def test_of_two_that_miss_alike_each_counts_half() -> None:
    """Their errors cancel in part: variances of 400 and 400 make one of 200."""
    came = drawn()
    tried = candidates(came, 20.0, 20.0, 1000.0)
    found = fitted(tried, came, AGE_0)
    assert found is not None
    assert found.by_age[0] == pytest.approx([0.5, 0.5, 0.0], abs=0.1)
    missed = weighed(tried, AGE_0, found) - came
    assert missed.std() == pytest.approx(np.sqrt(200.0), rel=0.1)


def test_a_forecast_that_earlier_days_add_little_to_stands() -> None:
    """Less than a twentieth of what it misses is not worth a change."""
    came = drawn()
    assert fitted(candidates(came, 5.0, 200.0, 200.0), came, AGE_0) is None


def test_each_day_ahead_is_weighed_on_its_own() -> None:
    """Good for tomorrow, bad for the day after: that alone leans on earlier days."""
    came = drawn()
    ages = np.tile([0, 1], N)
    came = np.repeat(came, 2)
    good, bad = candidates(came, 1.0, 40.0, 40.0), candidates(came, 80.0, 20.0, 20.0)
    tried = np.where((ages == 0)[:, None], good, bad)
    found = fitted(tried, came, ages)
    assert found is not None
    assert found.by_age[0].tolist() == [1.0, 0.0, 0.0]
    assert found.by_age[1][0] < 0.2
    assert found.of(np.array([7]))[0].tolist() == [1.0, 0.0, 0.0]  # nothing is known of such


def test_too_few_values_tell_nothing() -> None:
    """Less than ten days of hours."""
    came = drawn()[:239]
    tried = candidates(came, 90.0, 1.0, 1.0)
    assert fitted(tried, came, AGE_0[:239]) is None


@pytest.mark.parametrize(("minutes", "is_told"), [(60, True), (30, False), (15, False)])
def test_ten_days_of_intervals_are_asked_for_whatever_their_length(
    minutes: int, is_told: bool
) -> None:
    """400 of them are ten days of hours, and not of half-hours."""
    came = drawn()
    found = fitted(candidates(came, 90.0, 1.0, 1.0), came, AGE_0, minutes)
    assert (found is not None) is is_told


def test_many_forecasts_of_the_same_intervals_make_no_ten_days() -> None:
    """Issued anew every hour they are of the same hours."""
    came = drawn()
    hours = np.arange(N) // 4
    assert fitted_weights(candidates(came, 90.0, 1.0, 1.0), came, AGE_0, hours, 60) is None


def test_where_a_day_that_counts_is_not_known_what_was_published_stands() -> None:
    """One that does not count may be missing."""
    weights = Weights(60, np.array([[0.5, 0.5, 0.0]]))
    rows = np.array([[100.0, np.nan, 5.0], [100.0, 200.0, np.nan]])
    assert weighed(rows, np.zeros(2, dtype=int), weights).tolist() == [100.0, 150.0]


@given(st.integers(0, 2**32 - 1), st.floats(1.0, 100.0), st.floats(1.0, 100.0))
def test_on_what_it_was_fitted_to_it_never_misses_more(seed: int, told: float, days: float) -> None:
    """By the mean absolute error, whatever was published."""
    came = drawn(seed % 1000)
    tried = candidates(came, told, days, days, seed=seed)
    found = fitted(tried, came, AGE_0)
    if found is not None:
        missed = np.abs(weighed(tried, AGE_0, found) - came).mean()
        assert missed < np.abs(tried[:, 0] - came).mean()
