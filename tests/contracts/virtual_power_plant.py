"""What every ``VirtualPowerPlant`` must do.

``vpp`` has called ``EVENT`` and says ``SIGNALS``; ``turn(hours)`` lets time pass from two hours
before its start; ``cancel(event_id)`` has the other side cancel it; ``received()`` are the powers
[kW] that the other side was told last, by the hour of the event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.errors import Rejected
from connectors.protocols import VirtualPowerPlant
from connectors.types import (
    GridEventNotice,
    GridSignal,
    Report,
    ReportRequest,
    SignalKind,
    SiteFigures,
    Window,
)

START = datetime(2026, 6, 7, 14, tzinfo=UTC)
HOUR = timedelta(hours=1)
EVENT = GridEventNotice("dr-1", "north", Window(START, START + 3 * HOUR), 60.0, 1.5)
SIGNALS = tuple(
    GridSignal("north", SignalKind.PRICE, Window(START + k * HOUR, START + (k + 1) * HOUR), value)
    for k, value in enumerate((80.0, 90.0, 70.0))
)
Turn = Callable[[float], None]
Received = Callable[[], dict[int, float | None]]


def answer(request: ReportRequest, import_kw: float) -> Report:
    """Answer a request with one power in all its intervals."""
    figures = [
        SiteFigures(site, window, import_kw, is_measured=True)
        for site in request.sites
        for window in request.intervals
    ]
    return Report(request, tuple(figures))


class VirtualPowerPlantContract:
    """The contract."""

    async def test_an_event_is_listed_until_it_is_over(
        self, vpp: VirtualPowerPlant, turn: Turn
    ) -> None:
        """It is there before it starts and while it lasts, and gone at its end."""
        assert await vpp.events() == (EVENT,)
        turn(4.9)
        assert await vpp.events() == (EVENT,)
        turn(0.1)
        assert await vpp.events() == ()

    async def test_a_cancelled_event_is_marked(
        self, vpp: VirtualPowerPlant, cancel: Callable[[str], None]
    ) -> None:
        """It does not vanish: who planned for it must learn that it is off."""
        cancel("dr-1")
        (event,) = await vpp.events()
        assert event.is_cancelled

    async def test_signals_are_told_as_they_were_until_they_are_over(
        self, vpp: VirtualPowerPlant, turn: Turn
    ) -> None:
        """What of them has passed is not told anew, and no two say something of one instant."""
        await vpp.events()
        assert vpp.signals() == SIGNALS
        turn(3.5)
        await vpp.events()
        assert vpp.signals() == SIGNALS[1:]

    async def test_reports_are_asked_for_once_their_time_is_over(
        self, vpp: VirtualPowerPlant, turn: Turn
    ) -> None:
        """Not before; of the site and the hours of the event, under names of their own."""
        await vpp.events()
        turn(2.5)
        assert vpp.reports_due() == ()
        turn(1.5)
        first, second = vpp.reports_due()
        assert [one.intervals[0].start for one in (first, second)] == [START, START + HOUR]
        assert (first.sites, first.due_at) == (("north",), START + HOUR)
        assert first.name != second.name

    async def test_reports_arrive_and_the_last_counts(
        self, vpp: VirtualPowerPlant, turn: Turn, received: Received
    ) -> None:
        """The same report twice replaces the first; both are asked for as before."""
        await vpp.events()
        turn(4.0)
        first, second = vpp.reports_due()
        await vpp.report(answer(second, 70.0))
        await vpp.report(answer(first, 58.0))
        await vpp.report(answer(second, 59.0))
        assert received() == {0: 58.0, 1: 59.0}
        assert vpp.reports_due() == (first, second)

    async def test_a_report_that_nobody_asks_for_is_refused(
        self, vpp: VirtualPowerPlant, turn: Turn, received: Received
    ) -> None:
        """Such as one of an event that was never called."""
        await vpp.events()
        turn(4.0)
        wrong = replace(vpp.reports_due()[0], name="another", event_id="dr-9")
        with pytest.raises(Rejected, match="another"):
            await vpp.report(answer(wrong, 58.0))
        assert received() == {}

    async def test_of_a_cancelled_event_nothing_is_asked(
        self, vpp: VirtualPowerPlant, turn: Turn, cancel: Callable[[str], None]
    ) -> None:
        """It asks for nothing any more."""
        cancel("dr-1")
        await vpp.events()
        turn(4.0)
        assert vpp.reports_due() == ()
