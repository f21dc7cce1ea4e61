"""Every battery passes the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.protocols import Battery
from connectors.storage.simulated import BatteryRating, SimulatedBattery
from tests.contracts.battery import CAPACITY_KWH, RATING_KW, BatteryContract, Wait
from tests.contracts.clock import TurnedClock


class TestSimulatedBattery(BatteryContract):
    """A battery that is not there, in memory and in a file."""

    @pytest.fixture
    def clock(self) -> TurnedClock:
        """Its clock."""
        return TurnedClock()

    @pytest.fixture
    def wait(self, clock: TurnedClock) -> Wait:
        """Turn the clock."""
        return clock.turn

    @pytest.fixture(params=["memory", "file"])
    def battery(
        self, clock: TurnedClock, tmp_path: Path, request: pytest.FixtureRequest
    ) -> Battery:
        """Half full, losing 10 % each way."""
        file = tmp_path / "state.json" if request.param == "file" else None
        rating = BatteryRating(CAPACITY_KWH, RATING_KW, RATING_KW, 0.9, 0.9)
        return SimulatedBattery("twin", rating, CAPACITY_KWH / 2, clock, file)
