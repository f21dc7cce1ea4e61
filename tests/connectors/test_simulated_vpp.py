"""The script of the simulated virtual power plant."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from connectors.types import Window
from connectors.vpp.simulated import SimulatedVirtualPowerPlant
from tests.contracts.clock import TurnedClock
from tests.contracts.virtual_power_plant import EVENT, HOUR


async def test_an_event_is_unknown_until_it_is_called() -> None:
    """Events come with their notice, not before."""
    clock = TurnedClock()
    vpp = SimulatedVirtualPowerPlant([(clock() + timedelta(minutes=30), EVENT)], clock)
    assert await vpp.events() == ()
    clock.turn(0.5)
    assert await vpp.events() == (EVENT,)


async def test_events_come_in_order_of_their_start() -> None:
    """Whatever the order of the script."""
    clock = TurnedClock()
    window = Window(EVENT.window.start - HOUR, EVENT.window.end - HOUR)
    earlier = replace(EVENT, event_id="dr-2", window=window)
    vpp = SimulatedVirtualPowerPlant([(clock(), EVENT), (clock(), earlier)], clock)
    assert await vpp.events() == (earlier, EVENT)


async def test_an_event_can_be_changed() -> None:
    """The last call of the same name counts."""
    clock = TurnedClock()
    vpp = SimulatedVirtualPowerPlant([(clock(), EVENT)], clock)
    deeper = replace(EVENT, limit_kw=40.0)
    vpp.call(deeper, clock())
    assert await vpp.events() == (deeper,)
