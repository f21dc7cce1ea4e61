"""Published forecasts are weighed against earlier days as far as those missed less."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from connectors.types import SignalKind
from scheduler.services.signal_inputs import FITTED_OVER
from scheduler.services.weighed_signals import (
    NEEDS_BEFORE,
    fitted_to_published,
    weighed_by_days,
)
from tests.services.builders import START, signal_rows

CARBON, PV = SignalKind.CARBON_INTENSITY, SignalKind.PV
DAY = timedelta(days=1)
PAST_DAYS = (FITTED_OVER + NEEDS_BEFORE) // DAY
DAY_OF_SUN = np.maximum(0.0, 50.0 * np.sin(np.pi * (np.arange(24) - 6) / 12))


def published(
    kind: SignalKind = PV, off: float = 0.4, day: np.ndarray = DAY_OF_SUN
) -> pd.DataFrame:
    """Days that are alike; every midnight two days are forecast, the second ``off`` times as high.

    The last of these forecasts is of START and the day after.
    """
    begin = START - PAST_DAYS * DAY
    measured = signal_rows("DE", kind, np.tile(day, PAST_DAYS).tolist(), begin)
    measured["known_at"] = measured["start_at"] + pd.Timedelta(hours=1)
    told = [
        signal_rows("DE", kind, [*day, *(off * day)], begin + n * DAY, known_at=begin + n * DAY)
        for n in range(PAST_DAYS + 1)
    ]
    return pd.concat([measured, *told], ignore_index=True)


def known(every: pd.DataFrame) -> pd.DataFrame:
    """What is known last of each interval at START."""
    by_then = every[every["known_at"] <= pd.Timestamp(START)]
    return by_then.sort_values("known_at").drop_duplicates(["kind", "start_at"], keep="last")


def made(every: pd.DataFrame) -> pd.DataFrame:
    """Fitted and weighed at START, in order of time."""
    frame = known(every)
    weights = fitted_to_published(every[every["known_at"] <= pd.Timestamp(START)], START)
    return weighed_by_days(frame, frame, weights).sort_values("start_at", ignore_index=True)


def values_from(frame: pd.DataFrame, day: int) -> np.ndarray:
    """Those of a day from START on."""
    begin = pd.Timestamp(START + day * DAY)
    inside = (frame["start_at"] >= begin) & (frame["start_at"] < begin + pd.Timedelta(days=1))
    return frame[inside]["value"].to_numpy(float)


def test_a_day_that_was_always_forecast_too_low_is_raised_to_what_came() -> None:
    """And one that was forecast right stands."""
    found = made(published())
    assert values_from(found, 0) == pytest.approx(DAY_OF_SUN)
    assert values_from(found, 1) == pytest.approx(DAY_OF_SUN, abs=1e-6)


def test_what_was_measured_stands_and_what_was_weighed_says_so() -> None:
    """The source tells it apart; at night there is nothing to weigh."""
    found = made(published())
    is_changed = found["start_at"] >= pd.Timestamp(START + DAY)
    assert set(found[~is_changed]["source"]) == {""}
    by_day = found[is_changed & (found["value"] > 0.0)]
    assert set(by_day["source"]) == {"weighed"}
    assert found["value"].min() == 0.0


def test_nothing_is_weighed_above_what_was_ever_seen_or_told() -> None:
    """The forecasts were half of what came, until one says much more."""
    every = published(off=0.5)
    ahead = every["start_at"] >= pd.Timestamp(START)
    every.loc[ahead, "value"] *= 1.5
    assert values_from(made(every), 1).max() <= max(50.0, 0.5 * 50.0 * 1.5) + 1e-9


def test_prices_stand() -> None:
    """They are published once, for good."""
    every = published(SignalKind.PRICE)
    assert fitted_to_published(every, START) == {}
    assert values_from(made(every), 1) == pytest.approx(0.4 * DAY_OF_SUN)


def test_forecasts_in_another_resolution_than_what_is_measured_stand() -> None:
    """A forecast of hours has no error of its own quarters."""
    every = published(CARBON, day=DAY_OF_SUN + 200.0)
    every.loc[every["known_at"] > every["start_at"], "minutes"] = 30
    assert fitted_to_published(every, START) == {}


def test_a_young_source_stands() -> None:
    """Less than ten days of forecasts tell nothing."""
    every = published()
    young = every[every["known_at"] >= pd.Timestamp(START - 9 * DAY)]
    assert fitted_to_published(young, START) == {}


def test_where_measurements_have_stopped_forecasts_stand() -> None:
    """A day of a week ago says nothing of tomorrow."""
    every = published()
    is_late = (every["known_at"] > every["start_at"]) & (
        every["start_at"] >= pd.Timestamp(START - 3 * DAY)
    )
    weights = fitted_to_published(every, START)
    stopped = known(every[~is_late])
    found = weighed_by_days(stopped, stopped, weights).sort_values("start_at")
    assert values_from(found, 1) == pytest.approx(0.4 * DAY_OF_SUN)


def test_weights_are_for_the_resolution_they_were_fitted_to() -> None:
    """A forecast that comes in half-hours from now on is not weighed by those of hours."""
    every = published()
    weights = fitted_to_published(every, START)
    finer = known(every).assign(minutes=30)
    found = weighed_by_days(finer, finer, weights)
    assert sorted(found["value"]) == sorted(finer["value"])


def test_what_was_not_known_as_a_forecast_came_is_no_rival_of_it() -> None:
    """Measured two days late: of forecasts of a day ahead no day before was known."""
    every = published()
    is_measured = every["known_at"] > every["start_at"]
    every.loc[is_measured, "known_at"] += pd.Timedelta(days=2)
    assert fitted_to_published(every, START) == {}
