"""The generated signals look like real ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from connectors.signals.limits import PLAUSIBLE
from connectors.signals.simulated import SimulatedSignals, SimulatedSite
from connectors.types import SignalKind, Window

SITE = SimulatedSite(50.1, 8.7, pv_peak_kw=100.0, wind_rating_kw=50.0, base_load_kw=20.0)
JUNE = Window(datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))


async def generate(kind: SignalKind, seed: int = 1, window: Window = JUNE) -> pd.Series:
    """Generate one series."""
    frame = await SimulatedSignals({"north": SITE}, seed).fetch("north", kind, window)
    return frame.set_index("start_at")["value"]


def mean_by_hour(values: pd.Series) -> pd.Series:
    """Average by hour of the day, 0 to 23 UTC."""
    return values.groupby(pd.DatetimeIndex(values.index).hour).mean()


@pytest.mark.parametrize("kind", list(SignalKind))
async def test_every_kind_is_plausible_and_correlated_in_time(kind: SignalKind) -> None:
    """Within what a file may say, and no white noise: an hour resembles the one before."""
    values = await generate(kind)
    least, most = PLAUSIBLE[kind]
    assert values.between(least, most).all()
    assert values.std() > 0
    assert values.autocorr(1) > 0.8


@pytest.mark.parametrize("kind", [SignalKind.PRICE, SignalKind.WIND])
async def test_the_seed_is_the_weather(kind: SignalKind) -> None:
    """The same seed gives the same values in any window, another seed others."""
    part = Window(JUNE.start + timedelta(days=9), JUNE.start + timedelta(days=10))
    whole = await generate(kind)
    again = await generate(kind, window=part)
    pd.testing.assert_series_equal(whole[again.index], again, check_freq=False)
    assert not (await generate(kind, seed=2)).equals(whole)


async def test_the_sun_shines_by_day() -> None:
    """No PV at local midnight, most of it around noon, more in June than in December."""
    june = await generate(SignalKind.PV)
    december = Window(datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC))
    winter = await generate(SignalKind.PV, window=december)
    by_hour = mean_by_hour(june)
    assert by_hour[[22, 23, 0, 1]].max() == 0.0
    assert 10 <= int(by_hour.to_numpy().argmax()) <= 12
    assert june.sum() > 2 * winter.sum()


async def test_prices_fall_below_zero_and_peak_in_the_evening() -> None:
    """What a planner has to cope with is in there."""
    price = await generate(SignalKind.PRICE)
    assert 0.01 < (price < 0).mean() < 0.3
    assert 18 <= int(mean_by_hour(price).to_numpy().argmax()) <= 20


def test_a_resolution_that_does_not_divide_a_day_is_refused() -> None:
    """Its intervals would drift through the days."""
    with pytest.raises(ValueError, match="minutes = 7"):
        SimulatedSignals({"north": SITE}, 1, minutes=7)
