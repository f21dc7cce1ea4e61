"""What every ``SignalSource`` must do.

``source`` has price, carbon intensity and PV of ``SITE`` at ``RESOLUTION`` throughout ``WINDOW``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from connectors.errors import Rejected
from connectors.protocols import SignalSource
from connectors.types import SignalKind, Window

SITE = "north"
RESOLUTION = timedelta(minutes=15)
START = datetime(2026, 6, 7, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=2))
KINDS = (SignalKind.PRICE, SignalKind.CARBON_INTENSITY, SignalKind.PV)


class SignalSourceContract:
    """The contract."""

    @pytest.mark.parametrize("kind", KINDS)
    async def test_values_are_ordered_finite_and_in_utc(
        self, source: SignalSource, kind: SignalKind
    ) -> None:
        """One value per interval, by its start, in the source's own resolution."""
        values = await source.values(SITE, kind, WINDOW)
        assert isinstance(values.index, pd.DatetimeIndex)
        assert str(values.index.tz) == "UTC"
        assert values.index.is_monotonic_increasing
        assert values.index.is_unique
        assert values.dtype == np.float64
        assert np.isfinite(values).all()
        assert len(values) == (WINDOW.end - WINDOW.start) / RESOLUTION

    async def test_a_window_is_half_open(self, source: SignalSource) -> None:
        """Two windows that touch give what the one over both gives."""
        middle = WINDOW.start + 3 * RESOLUTION
        first = await source.values(SITE, SignalKind.PRICE, Window(WINDOW.start, middle))
        second = await source.values(SITE, SignalKind.PRICE, Window(middle, WINDOW.end))
        whole = await source.values(SITE, SignalKind.PRICE, WINDOW)
        assert len(first) == 3
        pd.testing.assert_series_equal(pd.concat([first, second]), whole, check_freq=False)

    async def test_a_window_in_local_time_is_the_same_window(self, source: SignalSource) -> None:
        """Instants may carry any offset; the answer is in UTC."""
        zone = timezone(timedelta(hours=-7))
        local = Window(WINDOW.start.astimezone(zone), WINDOW.end.astimezone(zone))
        pd.testing.assert_series_equal(
            await source.values(SITE, SignalKind.PRICE, local),
            await source.values(SITE, SignalKind.PRICE, WINDOW),
        )

    async def test_a_window_between_two_values_is_empty(self, source: SignalSource) -> None:
        """What the source does not have is absent, not made up."""
        between = Window(START + timedelta(minutes=1), START + timedelta(minutes=14))
        values = await source.values(SITE, SignalKind.PRICE, between)
        assert values.empty
        assert isinstance(values.index, pd.DatetimeIndex)

    async def test_a_site_nobody_knows_is_refused_by_name(self, source: SignalSource) -> None:
        """Asking again will not help."""
        with pytest.raises(Rejected, match="atlantis"):
            await source.values("atlantis", SignalKind.PRICE, WINDOW)
