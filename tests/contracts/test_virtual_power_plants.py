"""Every virtual power plant passes the contract."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connectors.vpp.simulated import SimulatedVirtualPowerPlant
from tests.contracts.clock import TurnedClock
from tests.contracts.virtual_power_plant import (
    EVENT,
    HOUR,
    SIGNALS,
    START,
    Received,
    Turn,
    VirtualPowerPlantContract,
)


class TestSimulatedVirtualPowerPlant(VirtualPowerPlantContract):
    """The scripted one."""

    @pytest.fixture
    def clock(self) -> TurnedClock:
        """Its clock, two hours before the event."""
        return TurnedClock()

    @pytest.fixture
    def vpp(self, clock: TurnedClock) -> SimulatedVirtualPowerPlant:
        """One event, called now, and three hours of prices."""
        return SimulatedVirtualPowerPlant([(clock(), EVENT)], clock, signals=SIGNALS)

    @pytest.fixture
    def turn(self, clock: TurnedClock) -> Turn:
        """Turn the clock."""
        return clock.turn

    @pytest.fixture
    def cancel(self, vpp: SimulatedVirtualPowerPlant) -> Callable[[str], None]:
        """Cancel from the other side."""
        return vpp.cancel

    @pytest.fixture
    def received(self, vpp: SimulatedVirtualPowerPlant) -> Received:
        """What it keeps."""
        return lambda: {
            round((figures.window.start - START) / HOUR): figures.import_kw
            for report in vpp.reports
            for figures in report.figures
        }
