"""A forecast is quantiles of every interval, asked for at any level between them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scheduler.forecasting import QuantileForecast

START = pd.Timestamp("2026-03-02T00:00:00Z")


def forecast(values: list[list[float]], levels: tuple[float, ...] = (0.1, 0.5, 0.9)):
    """Make a forecast of half-hours issued at its own start."""
    return QuantileForecast(START, START, 30, levels, np.array(values), "by hand")


def test_a_level_between_two_is_interpolated_and_the_median_is_the_middle() -> None:
    """P30 lies halfway from P10 to P50."""
    made = forecast([[0.0, 10.0, 30.0], [5.0, 5.0, 5.0]])
    np.testing.assert_allclose(made.at(0.3), [5.0, 5.0])
    np.testing.assert_array_equal(made.median, [10.0, 5.0])
    np.testing.assert_array_equal(made.at(0.9), [30.0, 5.0])


def test_intervals_are_named_by_their_starts() -> None:
    """Half-hours from the start on, also in a part of the forecast."""
    made = forecast([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 4.0]])
    assert list(made.series(0.5).index) == [START + k * pd.Timedelta(minutes=30) for k in range(3)]
    later = made.part(1, 3)
    assert later.start_at == START + pd.Timedelta(minutes=30)
    np.testing.assert_array_equal(later.median, [2.0, 3.0])


@pytest.mark.parametrize("level", [0.05, 0.95])
def test_a_tail_nobody_estimated_is_refused(level: float) -> None:
    """Below the lowest level or above the highest there is nothing to interpolate between."""
    with pytest.raises(ValueError, match=r"must be within \[0.1, 0.9\]"):
        forecast([[0.0, 1.0, 2.0]]).at(level)


@pytest.mark.parametrize(
    ("values", "levels", "says"),
    [
        ([[2.0, 1.0, 3.0]], (0.1, 0.5, 0.9), "cross"),
        ([[0.0, np.nan, 3.0]], (0.1, 0.5, 0.9), "finite"),
        ([[0.0, 1.0]], (0.1, 0.5, 0.9), "shape"),
        ([[0.0, 1.0]], (0.5, 0.5), "increase"),
        ([[0.0, 1.0]], (0.5, 1.0), "increase"),
        ([[0.0]], (0.5,), "increase"),
    ],
)
def test_what_is_no_forecast_is_refused(
    values: list[list[float]], levels: tuple[float, ...], says: str
) -> None:
    """Crossing quantiles, gaps, wrong shapes and levels that are none."""
    with pytest.raises(ValueError, match=says):
        forecast(values, levels)
