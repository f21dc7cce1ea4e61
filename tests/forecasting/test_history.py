"""A history is what was known at an instant, on a regular grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from scheduler.forecasting import History, known_history

START = pd.Timestamp("2026-03-02T00:00:00Z")
HOUR = pd.Timedelta(hours=1)
Row = tuple[float, int, float, float | None]  # start [h], minutes, value, known at [h]


def rows(*told: Row) -> pd.DataFrame:
    """Give rows of signals; hours count from ``START``."""
    return pd.DataFrame(
        {
            "start_at": [START + start * HOUR for start, _, _, _ in told],
            "minutes": [minutes for _, minutes, _, _ in told],
            "value": [value for _, _, value, _ in told],
            "known_at": pd.to_datetime(
                [None if at is None else START + at * HOUR for _, _, _, at in told], utc=True
            ),
        }
    )


def laid(told: Sequence[Row], minutes: int, known_by: float = 100) -> list[float]:
    """Lay rows on the last three hours of a day's grid."""
    until = START + 3 * HOUR
    known = known_history(rows(*told), START + known_by * HOUR, until, minutes, days=1)
    assert known.end_at == until
    return list(known.values[-180 // minutes :])


def test_of_two_values_the_one_known_last_counts_and_unknown_ones_do_not() -> None:
    """The value of hour 1 was revised at 5 h; a value that states no instant is always known."""
    told: list[Row] = [(0, 60, 7.0, None), (1, 60, 2.0, 5), (1, 60, 1.0, 1), (2, 60, 3.0, 9)]
    np.testing.assert_equal(laid(told, 60, known_by=4), [7.0, 1.0, np.nan])
    np.testing.assert_equal(laid(told, 60, known_by=5), [7.0, 2.0, np.nan])
    np.testing.assert_equal(laid(told, 60, known_by=9), [7.0, 2.0, 3.0])


def test_coarse_values_are_held_and_fine_ones_averaged() -> None:
    """An hour on half-hours, quarters on an hour; a part of an interval speaks for the whole."""
    assert laid([(0, 60, 4.0, 0), (1, 60, 6.0, 0), (2, 60, 8.0, 0)], 30) == [4, 4, 6, 6, 8, 8]
    quarters: list[Row] = [(0.25 * k, 15, float(k), 0) for k in range(6)]
    np.testing.assert_equal(laid(quarters, 60), [1.5, 4.5, np.nan])


def test_what_lies_outside_of_the_grid_and_what_is_no_number_is_passed_over() -> None:
    """Rows before the days looked at, past their end, and NaN."""
    told: list[Row] = [(-40, 60, 1.0, 0), (3, 60, 1.0, 0), (0, 60, np.nan, 0), (2, 120, 5.0, 0)]
    np.testing.assert_equal(laid(told, 60), [np.nan, np.nan, 5.0])


def test_before_an_instant_there_is_nothing_of_it_and_no_gap_at_the_ends() -> None:
    """Values from 2 h on; the gap within stays."""
    history = History(START, 60, np.array([np.nan, 1.0, np.nan, 3.0, np.nan, 5.0]))
    known = history.before(START + 5 * HOUR)
    assert known.start_at == START + HOUR
    np.testing.assert_equal(known.values, [1.0, np.nan, 3.0])


def test_an_instant_between_two_intervals_is_refused() -> None:
    """Half past is no start of an hour."""
    with pytest.raises(ValueError, match=r"00:30:00.*no start"):
        History(START, 60, np.zeros(3)).index_of(START + HOUR / 2)


def test_a_series_with_holes_becomes_a_grid_with_gaps() -> None:
    """Hour 1 is missing."""
    series = pd.Series([1.0, 3.0], index=[START, START + 2 * HOUR])
    np.testing.assert_equal(History.of_series(series, 60).values, [1.0, np.nan, 3.0])
