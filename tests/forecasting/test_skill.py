"""What past issues tell of how much a forecast is worth."""

from __future__ import annotations

import numpy as np
import pytest

from scheduler.forecasting.skill import FEWEST_ISSUES, fitted_skill

LEADS, BLOCK, ISSUES = 12, 6, 28


def issues(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What came, and a typical day, of past issues [issue, lead]."""
    rng = np.random.default_rng(seed)
    return rng.normal(300, 50, (ISSUES, LEADS)), rng.normal(300, 50, (ISSUES, LEADS))


def test_a_forecast_that_comes_true_is_left_as_it_is() -> None:
    """Whatever a typical day says."""
    came, typical = issues()
    skill = fitted_skill(came, typical, came, BLOCK)
    assert skill.applied(came[0], typical[0]) == pytest.approx(came[0])


def test_a_forecast_that_is_noise_gives_way_to_the_typical_day() -> None:
    """Hours of the first block are forecast well, those of the second not at all."""
    came, noise = issues()
    typical = came + np.random.default_rng(1).normal(0, 5, came.shape)
    told = np.where(np.arange(LEADS) < BLOCK, came, noise)
    skill = fitted_skill(told, typical, came, BLOCK)
    assert skill.weights[:BLOCK] == pytest.approx(1.0)
    assert skill.weights[BLOCK:] == pytest.approx(0.0, abs=0.1)


def test_what_is_always_missed_by_as_much_is_added() -> None:
    """Less the share that says that nothing is known for sure."""
    came, typical = issues()
    skill = fitted_skill(came - 40.0, typical, came, BLOCK)
    missed = came[0] - skill.applied(came[0] - 40.0, typical[0])
    assert np.abs(missed).mean() < 40.0 / 2


def test_few_issues_change_nothing() -> None:
    """One less than enough; with enough it does."""
    came, typical = issues()
    told = came - 40.0
    few = fitted_skill(told[: FEWEST_ISSUES - 1], typical[: FEWEST_ISSUES - 1], came[:4], BLOCK)
    assert few.applied(told[0], typical[0]) == pytest.approx(told[0])
    enough = fitted_skill(
        told[:FEWEST_ISSUES], typical[:FEWEST_ISSUES], came[:FEWEST_ISSUES], BLOCK
    )
    assert enough.applied(told[0], typical[0]) != pytest.approx(told[0])


def test_hours_nobody_knows_are_passed_over() -> None:
    """An issue without what came says nothing; an hour without a typical day is as told."""
    came, typical = issues()
    told = came - 40.0
    gaps = came.copy()
    gaps[::2] = np.nan
    whole = fitted_skill(told[1::2], typical[1::2], came[1::2], BLOCK)
    parted = fitted_skill(told, typical, gaps, BLOCK)
    assert parted.weights == pytest.approx(whole.weights)
    assert parted.offsets == pytest.approx(whole.offsets)
    assert whole.applied(told[0], np.full(LEADS, np.nan)) == pytest.approx(told[0])
