"""Every battery passes the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from connectors.protocols import Battery
from connectors.storage.modbus.battery import ModbusBattery, Plate
from connectors.storage.modbus.wire import ModbusAddress
from connectors.storage.simulated import BatteryRating, SimulatedBattery
from tests.contracts.battery import CAPACITY_KWH, RATING_KW, BatteryContract, Wait
from tests.contracts.clock import TurnedClock
from tests.peers import sunspec
from tests.peers.sunspec_plant import Knob


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


@pytest.fixture(scope="module", params=["der", "classic", "basic"])
def running(request: pytest.FixtureRequest) -> Iterator[sunspec.SunSpecPlant]:
    """A plant in another process."""
    with sunspec.running(request.param) as plant:
        yield plant


class TestModbusBattery(BatteryContract):
    """One behind a real Modbus server, by each way of telling it what to do."""

    @pytest.fixture
    def plant(self, running: sunspec.SunSpecPlant) -> sunspec.SunSpecPlant:
        """As new: half full, at rest."""
        running.turn(Knob.NEW, 1)
        return running

    @pytest.fixture
    def clock(self) -> TurnedClock:
        """Our clock."""
        return TurnedClock()

    @pytest.fixture
    def wait(self, clock: TurnedClock, plant: sunspec.SunSpecPlant) -> Wait:
        """Turn our clock and its."""

        def turn(hours: float) -> None:
            clock.turn(hours)
            plant.turn(Knob.TURN_S, round(hours * 3600))

        return turn

    @pytest.fixture
    async def battery(
        self, clock: TurnedClock, plant: sunspec.SunSpecPlant
    ) -> AsyncIterator[Battery]:
        """A client of it."""
        address = ModbusAddress("127.0.0.1", plant.port, answer_s=10.0)
        plate = Plate(RATING_KW, RATING_KW, CAPACITY_KWH)
        battery = ModbusBattery("bess", address, plate, clock)
        yield battery
        await battery.close()
