"""What every ``VirtualPowerPlant`` must do.

``vpp`` has called ``EVENT``; ``turn(hours)`` lets time pass from two hours before its start;
``cancel(event_id)`` has the other side cancel it; ``received()`` is what the other side got.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from connectors.errors import Rejected
from connectors.protocols import VirtualPowerPlant
from connectors.types import DeliveryReport, GridEventNotice, Window

START = datetime(2026, 6, 7, 14, tzinfo=UTC)
HOUR = timedelta(hours=1)
EVENT = GridEventNotice("dr-1", "north", Window(START, START + 3 * HOUR), 60.0, 1.5)
Turn = Callable[[float], None]
Received = Callable[[], tuple[DeliveryReport, ...]]


def report(hour: int, mean_import_kw: float, event_id: str = "dr-1") -> DeliveryReport:
    """Report one hour, counted from the start of the event."""
    window = Window(START + hour * HOUR, START + (hour + 1) * HOUR)
    return DeliveryReport(event_id, "north", window, mean_import_kw, is_measured=True)


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

    async def test_reports_arrive_and_the_last_counts(
        self, vpp: VirtualPowerPlant, received: Received
    ) -> None:
        """The same interval twice replaces the first."""
        await vpp.report(report(1, 70.0))
        await vpp.report(report(0, 58.0))
        await vpp.report(report(1, 59.0))
        assert received() == (report(0, 58.0), report(1, 59.0))

    @pytest.mark.parametrize(
        ("wrong", "named"), [(report(0, 58.0, "dr-9"), "dr-9"), (report(3, 58.0), "dr-1")]
    )
    async def test_a_report_of_nothing_called_is_refused(
        self, vpp: VirtualPowerPlant, received: Received, wrong: DeliveryReport, named: str
    ) -> None:
        """An unknown event, or an interval outside it."""
        with pytest.raises(Rejected, match=named):
            await vpp.report(wrong)
        assert received() == ()
