"""Published forecasts are pulled to what was measured since."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from connectors.types import SignalKind
from scheduler.services.corrected_signals import (
    LONGEST,
    corrected_by_measured,
    fitted_decays,
)
from scheduler.services.signal_inputs import FITTED_OVER
from tests.services.builders import START, signal_rows

CARBON = SignalKind.CARBON_INTENSITY
PAST_HOURS = FITTED_OVER // timedelta(hours=1)
BEGIN = START - FITTED_OVER


def lasting(seed: int = 0, left: float = 0.9) -> np.ndarray:
    """Errors of which ``left`` is left an hour later."""
    rng = np.random.default_rng(seed)
    errors = np.zeros(PAST_HOURS)
    for hour in range(1, PAST_HOURS):
        errors[hour] = left * errors[hour - 1] + rng.normal(0, 10)
    return errors


def frames(
    errors: np.ndarray, kind: SignalKind = CARBON, ahead: float = 300.0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is known at START: a month of 300 and ``errors``, then forecasts; and what was told."""
    hours = LONGEST // timedelta(hours=1) + 5
    measured = signal_rows("DE", kind, (300.0 + errors).tolist(), BEGIN)
    measured["known_at"] = measured["start_at"] + pd.Timedelta(hours=1)
    told = signal_rows("DE", kind, [300.0] * PAST_HOURS, BEGIN, known_at=BEGIN)
    forecast = signal_rows("DE", kind, [ahead] * hours, START, known_at=START - timedelta(hours=6))
    return pd.concat([measured, forecast], ignore_index=True), told


def ahead_of(frame: pd.DataFrame) -> np.ndarray:
    """Values of what has not begun."""
    return frame[frame["start_at"] >= pd.Timestamp(START)]["value"].to_numpy(float)


def corrected(known: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    """By decays of the same month."""
    return corrected_by_measured(known, told, START, fitted_decays(known, told, START))


def test_the_next_hour_is_pulled_most_and_those_past_two_days_not_at_all() -> None:
    """Towards the last error, by what was left of such errors before."""
    errors = lasting()
    errors[-1] = 50.0
    known, told = frames(errors)
    pulls = ahead_of(corrected(known, told)) - 300.0
    assert pulls[0] == pytest.approx(0.9 * 50.0, rel=0.1)
    assert (np.diff(pulls) <= 1e-9).all()
    assert pulls[LONGEST // timedelta(hours=1) :].tolist() == [0.0] * 5


def test_what_was_measured_is_left_alone_and_what_was_pulled_says_so() -> None:
    """The source tells it apart."""
    known, told = frames(lasting())
    found = corrected(known, told)
    is_past = found["start_at"] < pd.Timestamp(START)
    assert found[is_past]["value"].tolist() == known[is_past]["value"].tolist()
    assert set(found[is_past]["source"]) == {""}
    assert found[~is_past]["source"].iloc[0] == "corrected"


def test_errors_that_do_not_last_pull_nothing() -> None:
    """White noise: an hour later nothing is left of it."""
    known, told = frames(lasting(left=0.0))
    pulls = ahead_of(corrected(known, told)) - 300.0
    assert np.abs(pulls).max() < 3.0


def test_no_value_is_pulled_below_its_least() -> None:
    """Carbon intensity is never negative."""
    errors = lasting()
    errors[-1] = -80.0
    known, told = frames(errors, ahead=20.0)
    assert ahead_of(corrected(known, told)).min() == 0.0


@pytest.mark.parametrize("kind", [SignalKind.PRICE, SignalKind.PV])
def test_other_kinds_are_as_they_were_published(kind: SignalKind) -> None:
    """A day-ahead price does not change, and no error of the day is left at night."""
    known, told = frames(lasting(), kind)
    found = corrected(known, told)
    assert found["value"].tolist() == known["value"].tolist()


def test_without_what_was_told_nothing_is_known_of_errors() -> None:
    """As in the first days of a new source."""
    known, told = frames(lasting())
    found = corrected(known, told.iloc[:0])
    assert found["value"].tolist() == known["value"].tolist()
