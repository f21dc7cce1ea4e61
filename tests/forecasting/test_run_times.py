"""What share of their stated time jobs take, by tenant, with those that were never seen to end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.forecasting.run_times import FEWEST_ENDED, RunLength, RunTimes, fitted_run_times


def ended(tenant: str, *fractions: float) -> list[RunLength]:
    """Give jobs that ended of themselves."""
    return [RunLength(tenant, fraction, has_ended=True) for fraction in fractions]


def still_there(tenant: str, *fractions: float) -> list[RunLength]:
    """Give jobs that were last seen going on."""
    return [RunLength(tenant, fraction, has_ended=False) for fraction in fractions]


def fitted(lengths: list[RunLength]) -> RunTimes:
    """Fit to jobs that are enough."""
    made = fitted_run_times(lengths)
    assert made is not None
    return made


def test_a_quantile_is_within_which_that_share_of_jobs_ends() -> None:
    """A hundred jobs that take 1 to 100 % of what they state."""
    made = fitted(ended("a", *np.arange(1, 101) / 100))
    assert made.fraction("a", 0.5) == pytest.approx(0.5)
    assert made.fraction("a", 0.9) == pytest.approx(0.9)


def test_it_is_kaplan_and_meiers_estimate() -> None:
    """Six jobs, two of them cut off: 1/6 end at .2, then a quarter of the rest, by hand."""
    few = [*ended("a", 0.2, 0.5, 0.8, 1.0), *still_there("a", 0.3, 0.6)]
    made = fitted(few * 6)
    by_hand = [1 / 6, 1 - 5 / 6 * 3 / 4, 1 - 5 / 6 * 3 / 4 * 1 / 2, 1.0]
    np.testing.assert_allclose(made.grid, [0.2, 0.5, 0.8, 1.0])
    np.testing.assert_allclose(made.fleet_ended, by_hand)


def test_jobs_that_still_run_make_the_rest_longer() -> None:
    """Left out, those that take long would be missing: the estimate would be too short."""
    short = ended("a", *np.linspace(0.1, 0.3, 30))
    without = fitted(short).fraction("a", 0.5)
    running = fitted([*short, *still_there("a", *np.full(60, 0.9))])
    assert without == pytest.approx(0.2, abs=0.01)
    assert running.fraction("a", 0.5) is None
    assert running.fraction("a", 0.3) == pytest.approx(0.28, abs=0.01)


def test_a_tenant_of_few_jobs_leans_on_the_fleet_and_one_of_many_does_not() -> None:
    """The fleet takes all of its time; one tenant took half, twice or two hundred times."""
    fleet = ended("others", *np.linspace(0.9, 1.0, 300))
    few = fitted([*fleet, *ended("mine", 0.5, 0.5)])
    many = fitted([*fleet, *ended("mine", *np.full(200, 0.5))])
    assert few.fraction("mine", 0.5) == pytest.approx(0.95, abs=0.02)
    assert many.fraction("mine", 0.5) == pytest.approx(0.5)
    assert few.fraction("never seen", 0.5) == pytest.approx(0.95, abs=0.02)


def test_of_a_job_that_has_got_far_only_the_longer_ones_are_like() -> None:
    """Half end at a tenth and half at the whole: what has passed a half takes the whole."""
    made = fitted(ended("a", *[0.1] * 20, *[1.0] * 20))
    assert made.fraction("a", 0.5) == pytest.approx(0.1)
    assert made.fraction("a", 0.5, done=0.5) == pytest.approx(1.0)
    assert made.fraction("a", 0.5, done=1.0) is None


def test_too_few_jobs_say_nothing() -> None:
    """One less than is needed, whatever number still runs."""
    few = ended("a", *[0.5] * (FEWEST_ENDED - 1))
    assert fitted_run_times([*few, *still_there("a", *[0.5] * 100)]) is None


jobs = st.lists(
    st.builds(RunLength, st.sampled_from(["a", "b", "c"]), st.floats(0.001, 20), st.booleans()),
    min_size=40,
    max_size=120,
)


@settings(max_examples=60, deadline=None)
@given(lengths=jobs, done=st.floats(0, 5))
def test_more_of_the_jobs_take_longer_and_none_ends_before_what_is_done(
    lengths: list[RunLength], done: float
) -> None:
    """Quantiles rise with their level, and lie beyond what was done already."""
    made = fitted_run_times(lengths)
    if made is None:
        assert sum(one.has_ended for one in lengths) < FEWEST_ENDED
        return
    for tenant in ("a", "b", "nobody"):
        found = [made.fraction(tenant, level, done) for level in (0.1, 0.5, 0.9)]
        known = [fraction for fraction in found if fraction is not None]
        assert known == sorted(known)
        assert all(fraction >= done for fraction in known)
        assert found[: len(known)] == known
