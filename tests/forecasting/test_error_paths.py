"""Error paths: whole past errors, of all signals at once, around a forecast that stays the mean."""

from __future__ import annotations

import numpy as np
import pytest

from scheduler.forecasting.error_paths import ErrorPaths, PastIssue, error_paths, reduced

PRICE, WIND = ("DE", "price"), ("DE", "wind")
N_SLOTS, DAY = 48, 24
SHAPE = 100.0 + 40.0 * np.sin(2.0 * np.pi * np.arange(N_SLOTS) / DAY)


def good(n_issues: int = 30, seed: int = 0) -> dict[tuple[str, str], PastIssue]:
    """A price forecast that is right but for a level, and wind whose error is its opposite."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0.0, 10.0, (n_issues, 1))
    told = SHAPE + rng.normal(0.0, 20.0, (n_issues, 1))
    wind = np.full((n_issues, N_SLOTS), 50.0)
    return {
        PRICE: PastIssue(told, told + level),
        WIND: PastIssue(wind, wind - level),
    }


def test_errors_go_together_as_they_did() -> None:
    """A path has the errors of one issue, so that dear hours are those without wind."""
    paths = error_paths(good(), DAY)
    price = paths.around(PRICE, SHAPE) - SHAPE
    wind = paths.around(WIND, np.full(N_SLOTS, 50.0)) - 50.0
    assert len(paths) == 30
    np.testing.assert_allclose(price, -wind, atol=1e-9)
    np.testing.assert_allclose(price, price[:, :1] * np.ones(N_SLOTS), atol=1e-9)


def test_forecast_stays_the_mean_of_its_paths() -> None:
    """No luck of a few weeks moves the plan: errors are centred, before and after reduction."""
    paths = error_paths(good(), DAY)
    for some in (paths, reduced(paths, 5)):
        mean = some.probability @ some.around(PRICE, SHAPE)
        np.testing.assert_allclose(mean, SHAPE, atol=1e-9)
        assert some.probability.sum() == pytest.approx(1.0)


def test_noise_loses_its_swings() -> None:
    """A forecast that never said anything of the hours of a day is flat around its mean."""
    rng = np.random.default_rng(1)
    told, came = 100.0 + rng.normal(0.0, 10.0, (2, 60, N_SLOTS))
    paths = error_paths({PRICE: PastIssue(told, came)}, DAY)
    forecast = 100.0 + rng.normal(0.0, 10.0, N_SLOTS)
    mean = paths.probability @ paths.around(PRICE, forecast)
    assert np.ptp(mean[:DAY]) < 0.15 * np.ptp(forecast[:DAY])
    assert paths.around(PRICE, forecast).std() == pytest.approx(10.0, rel=0.1)


def test_a_good_forecast_keeps_its_swings() -> None:
    """One whose swings came true, but for noise of their own, is taken at its word."""
    rng = np.random.default_rng(2)
    told = np.repeat(SHAPE[None, :], 60, axis=0)
    paths = error_paths({PRICE: PastIssue(told, told + rng.normal(0.0, 8.0, told.shape))}, DAY)
    mean = paths.probability @ paths.around(PRICE, SHAPE)
    assert np.ptp(mean) > 0.95 * np.ptp(SHAPE)


def test_what_was_published_is_certain() -> None:
    """Leads that were never wrong stay as they are on every path, whatever the others do."""
    rng = np.random.default_rng(3)
    told = 100.0 + rng.normal(0.0, 10.0, (40, N_SLOTS))
    came = told.copy()
    came[:, 12:] = 100.0 + rng.normal(0.0, 10.0, (40, N_SLOTS - 12))
    paths = error_paths({PRICE: PastIssue(told, came)}, DAY)
    around = paths.around(PRICE, SHAPE)
    np.testing.assert_array_equal(around[:, :12], np.repeat(SHAPE[None, :12], len(paths), axis=0))
    assert around[:, 12:].std() > 5.0


def test_issues_with_gaps_are_left_out_for_all_signals() -> None:
    """Where one signal has a gap, the issue is no path of any."""
    past = good(6)
    past[WIND].came[2, 5] = np.nan
    past[PRICE].told[4, 0] = np.nan
    assert error_paths(past, DAY).issues == (0, 1, 3, 5)


def test_paths_stay_within_what_is_possible() -> None:
    """PV is never below nothing."""
    paths = error_paths(good(), DAY)
    assert paths.around(WIND, np.full(N_SLOTS, 5.0), least=0.0).min() == 0.0


def test_a_signal_without_errors_comes_as_forecast() -> None:
    """Nobody knows how wrong it is, so it is the same on all paths."""
    paths = error_paths(good(), DAY)
    around = paths.around(("FR", "price"), SHAPE)
    np.testing.assert_array_equal(around, np.repeat(SHAPE[None, :], len(paths), axis=0))


def test_reduction_keeps_those_that_stand_for_the_others() -> None:
    """Of three kinds of paths, three are kept, each with the share of its kind."""
    kinds = np.repeat([[-50.0], [0.0], [60.0]], [5, 10, 15], axis=0)
    noise = np.random.default_rng(5).normal(0.0, 0.1, (30, N_SLOTS))
    told = np.repeat(SHAPE[None, :], 30, axis=0)
    paths = reduced(error_paths({PRICE: PastIssue(told, told + kinds + noise)}, DAY), 3)
    assert [kinds[issue, 0] for issue in paths.issues] == [-50.0, 0.0, 60.0]
    np.testing.assert_allclose(paths.probability, [5 / 30, 10 / 30, 15 / 30])


def test_more_paths_than_there_are_is_all_of_them() -> None:
    """Nothing is made up."""
    paths = error_paths(good(4), DAY)
    assert reduced(paths, 9) is paths
    with pytest.raises(ValueError, match="n_paths = 0"):
        reduced(paths, 0)


def test_no_whole_issue_is_refused() -> None:
    """Without one past issue there is nothing to draw from."""
    past = good(2)
    past[WIND].told[:, 3] = np.nan
    with pytest.raises(ValueError, match="0 of 2 are whole"):
        error_paths(past, DAY)
    with pytest.raises(ValueError, match="must be one"):
        error_paths({PRICE: past[PRICE], WIND: good(3)[WIND]}, DAY)


def test_one_path_alone_is_the_forecast() -> None:
    """A single error says nothing of the next one: centred, it is none."""
    paths: ErrorPaths = error_paths(good(1), DAY)
    np.testing.assert_allclose(paths.around(PRICE, SHAPE), SHAPE[None, :], atol=1e-9)
