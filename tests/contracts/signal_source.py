"""What every ``SignalSource`` must do; ``tests.contracts.live_source`` adds what is by network.

``source`` has the kinds of ``case`` in its zone at ``case.minutes`` throughout ``case.window``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from connectors.errors import Rejected
from connectors.protocols import SignalSource
from connectors.signals.frames import FRAME_COLUMNS
from connectors.signals.limits import PLAUSIBLE, is_unit_of
from connectors.types import SignalKind, Window

START = datetime(2026, 6, 7, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=2))


@dataclass(frozen=True, slots=True)
class SourceCase:
    """What a source is asked in its tests; ``minutes`` is the length of every interval there."""

    zone: str
    kinds: tuple[SignalKind, ...]
    minutes: int
    missing_kind: SignalKind | None = None  # that it has nowhere
    window: Window = WINDOW

    @property
    def kind(self) -> SignalKind:
        """The kind that one is enough for."""
        return self.kinds[0]


class SignalSourceContract:
    """The contract."""

    async def test_values_are_ordered_finite_and_in_utc(
        self, source: SignalSource, case: SourceCase
    ) -> None:
        """One row for each interval of every kind, with its length and its unit."""
        step = timedelta(minutes=case.minutes)
        for kind in case.kinds:
            frame = await source.fetch(case.zone, kind, case.window)
            assert tuple(frame.columns) == FRAME_COLUMNS
            assert str(frame["start_at"].dt.tz) == str(frame["known_at"].dt.tz) == "UTC"
            starts = pd.date_range(case.window.start, case.window.end, freq=step, inclusive="left")
            assert frame["start_at"].to_list() == starts.to_list()
            assert (frame["minutes"] == case.minutes).all()
            assert frame["value"].dtype == np.float64
            assert frame["value"].between(*PLAUSIBLE[kind]).all()
            assert all(is_unit_of(kind, unit) for unit in frame["unit"])

    async def test_a_window_is_half_open(self, source: SignalSource, case: SourceCase) -> None:
        """Two windows that touch give what the one over both gives."""
        middle = case.window.start + 3 * timedelta(minutes=case.minutes)
        before, after = Window(case.window.start, middle), Window(middle, case.window.end)
        first = await source.fetch(case.zone, case.kind, before)
        second = await source.fetch(case.zone, case.kind, after)
        whole = await source.fetch(case.zone, case.kind, case.window)
        assert len(first) == 3
        both = pd.concat([first, second], ignore_index=True)
        pd.testing.assert_frame_equal(both, whole)

    async def test_a_window_in_local_time_is_the_same_window(
        self, source: SignalSource, case: SourceCase
    ) -> None:
        """Instants may carry any offset; the answer is in UTC."""
        zone = timezone(timedelta(hours=-7))
        local = Window(case.window.start.astimezone(zone), case.window.end.astimezone(zone))
        pd.testing.assert_frame_equal(
            await source.fetch(case.zone, case.kind, local),
            await source.fetch(case.zone, case.kind, case.window),
        )

    async def test_a_window_between_two_values_is_empty(
        self, source: SignalSource, case: SourceCase
    ) -> None:
        """What the source does not have is absent, not made up; the columns are there."""
        start = case.window.start
        last = start + timedelta(minutes=case.minutes - 1)
        frame = await source.fetch(case.zone, case.kind, Window(start + timedelta(minutes=1), last))
        assert frame.empty
        assert tuple(frame.columns) == FRAME_COLUMNS
        assert str(frame["start_at"].dt.tz) == "UTC"

    async def test_a_zone_nobody_knows_is_refused_by_name(
        self, source: SignalSource, case: SourceCase
    ) -> None:
        """Asking again will not help."""
        with pytest.raises(Rejected, match="atlantis"):
            await source.fetch("atlantis", case.kind, case.window)
        with pytest.raises(Rejected, match="atlantis"):
            source.time_zone("atlantis")

    async def test_a_kind_it_has_nowhere_is_refused_by_name(
        self, source: SignalSource, case: SourceCase
    ) -> None:
        """It is not asked for what its own description lacks."""
        if case.missing_kind is None:
            assert {offer.kind for offer in source.info.offers} == set(SignalKind)
        else:
            with pytest.raises(Rejected, match=case.missing_kind.value):
                await source.fetch(case.zone, case.missing_kind, case.window)

    def test_what_it_says_of_itself_is_what_it_has(
        self, source: SignalSource, case: SourceCase
    ) -> None:
        """Its kinds, their documented lengths, and a time that days are counted in."""
        offered = {offer.kind: offer.minutes for offer in source.info.offers}
        assert set(case.kinds) <= set(source.info.kinds_in(case.zone))
        assert all(case.minutes in offered[kind] for kind in case.kinds)
        assert source.time_zone(case.zone)
        assert source.info.name
        assert source.info.licence
