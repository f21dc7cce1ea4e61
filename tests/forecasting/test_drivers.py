"""From each origin, a driver shows what had been published by then and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scheduler.forecasting.drivers import Driver

START = pd.Timestamp("2026-03-02T00:00:00Z")
HOUR = pd.Timedelta(hours=1)


def rows(*told: tuple[float, float, float]) -> pd.DataFrame:
    """Give rows known at, for and of; hours count from ``START``."""
    return pd.DataFrame(
        {
            "known_at": [START + known * HOUR for known, _, _ in told],
            "start_at": [START + start * HOUR for _, start, _ in told],
            "value": [value for _, _, value in told],
        }
    )


def seen(driver: Driver, origin: int, n_leads: int) -> list[float]:
    """Give what is known at an hour, of the hours from there on."""
    offset = round((START - driver.start_at) / HOUR)
    return list(driver.at(offset, np.array([origin]), np.arange(n_leads))[0])


def test_the_newest_issue_that_was_known_counts() -> None:
    """Issued at 0 h and again at 6 h, for hours 6 to 8."""
    first = [(0, hour, 1.0) for hour in (6, 7, 8)]
    second = [(6, hour, 2.0) for hour in (6, 7)]
    driver = Driver.of_rows(rows(*first, *second), 60)
    np.testing.assert_equal(seen(driver, 5, 4), [np.nan, 1.0, 1.0, 1.0])
    np.testing.assert_equal(seen(driver, 6, 3), [2.0, 2.0, np.nan])


def test_what_is_published_within_an_hour_is_known_at_its_end() -> None:
    """At half past five it was not known at five."""
    driver = Driver.of_rows(rows((5.5, 7, 3.0), (0, 7, 1.0)), 60)
    np.testing.assert_equal(seen(driver, 5, 3), [np.nan, np.nan, 1.0])
    np.testing.assert_equal(seen(driver, 6, 2), [np.nan, 3.0])


def test_before_the_first_issue_and_of_hours_past_nothing_is_known() -> None:
    """An issue that speaks of hours before itself says nothing of the future."""
    driver = Driver.of_rows(rows((4, 2, 9.0), (4, 5, 1.0)), 60)
    np.testing.assert_equal(seen(driver, 3, 3), [np.nan] * 3)
    np.testing.assert_equal(seen(driver, 4, 2), [np.nan, 1.0])


def test_what_was_published_last_before_each_hour_is_its_past() -> None:
    """Two issues of a day each; gaps within are bridged from what came before."""
    driver = Driver(
        START, 60, np.array([2, 5]), np.array([[1.0, 2.0, 3.0, 4.0], [7.0, np.nan, 9.0, 9.0]])
    )
    np.testing.assert_equal(driver.before(0, 9, 24), [np.nan] * 2 + [1, 2, 3, 7, 7, 9, 9])


def test_no_rows_are_no_driver() -> None:
    """There is nothing to begin a grid with."""
    with pytest.raises(ValueError, match="no rows, must be at least one"):
        Driver.of_rows(rows().astype({"known_at": "datetime64[ns, UTC]"}), 60)
