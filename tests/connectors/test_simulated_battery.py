"""The simulated battery: its arithmetic, its ends, and what it remembers."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.errors import Unavailable
from connectors.storage.simulated import BatteryRating, SimulatedBattery
from tests.contracts.clock import TurnedClock

RATING = BatteryRating(100.0, 50.0, 40.0, 0.9, 0.8, soc_floor_kwh=10.0)


async def test_losses_are_one_way(tmp_path: Path) -> None:
    """10 kW for an hour store 9 kWh; giving 8 kW for an hour takes 10 kWh out."""
    clock = TurnedClock()
    battery = SimulatedBattery("b", RATING, 50.0, clock)
    await battery.set_power(10.0)
    clock.turn(1.0)
    assert (await battery.telemetry()).soc_kwh == pytest.approx(59.0)
    await battery.set_power(-8.0)
    clock.turn(1.0)
    assert (await battery.telemetry()).soc_kwh == pytest.approx(49.0)


@pytest.mark.parametrize(("power_kw", "end_kwh"), [(50.0, 100.0), (-40.0, 10.0)])
async def test_it_stops_full_and_at_its_floor(power_kw: float, end_kwh: float) -> None:
    """The reserve for backup is not given away."""
    clock = TurnedClock()
    battery = SimulatedBattery("b", RATING, 50.0, clock)
    await battery.set_power(power_kw)
    clock.turn(5.0)
    state = await battery.telemetry()
    assert (state.soc_kwh, state.power_kw) == (end_kwh, 0.0)


async def test_below_its_floor_it_gives_nothing_but_takes() -> None:
    """A battery handed over nearly empty loses nothing more."""
    clock = TurnedClock()
    battery = SimulatedBattery("b", RATING, 5.0, clock)
    await battery.set_power(-10.0)
    clock.turn(1.0)
    state = await battery.telemetry()
    assert (state.soc_kwh, state.power_kw) == (5.0, 0.0)
    await battery.set_power(10.0)
    clock.turn(1.0)
    assert (await battery.telemetry()).soc_kwh == pytest.approx(14.0)


async def test_how_often_it_is_looked_at_changes_nothing() -> None:
    """Many short looks and one long one end at the same state."""
    states = []
    for looks in (1, 60):
        clock = TurnedClock()
        battery = SimulatedBattery("b", RATING, 50.0, clock)
        await battery.set_power(12.0)
        for _ in range(looks):
            clock.turn(1.0 / looks)
            state = await battery.telemetry()
        states.append(state.soc_kwh)
    assert states[0] == pytest.approx(states[1])


async def test_a_clock_that_goes_back_takes_nothing_away() -> None:
    """What was charged stays charged."""
    clock = TurnedClock()
    battery = SimulatedBattery("b", RATING, 50.0, clock)
    await battery.set_power(10.0)
    clock.turn(1.0)
    await battery.set_power(0.0)
    clock.turn(-1.0)
    assert (await battery.telemetry()).soc_kwh == pytest.approx(59.0)


async def test_it_goes_on_while_nobody_looks(tmp_path: Path) -> None:
    """With a file, its setpoint is held over a restart, and the first state of charge is not."""
    clock = TurnedClock()
    file = tmp_path / "deep" / "battery.json"
    await SimulatedBattery("b", RATING, 50.0, clock, file).set_power(10.0)
    clock.turn(2.0)
    again = SimulatedBattery("b", RATING, 20.0, clock, file)
    state = await again.telemetry()
    assert state.soc_kwh == pytest.approx(68.0)
    assert state.power_kw == 10.0
    assert [path.name for path in file.parent.iterdir()] == ["battery.json"]


async def test_two_clients_of_one_file_are_one_battery(tmp_path: Path) -> None:
    """What one tells it, the other sees."""
    clock = TurnedClock()
    one, other = (SimulatedBattery("b", RATING, 50.0, clock, tmp_path / "b") for _ in range(2))
    await one.set_power(10.0)
    assert (await other.telemetry()).power_kw == 10.0


async def test_an_unusable_file_is_unavailable(tmp_path: Path) -> None:
    """Trouble with the disk is for a retry, and names the battery."""
    battery = SimulatedBattery("b", RATING, 50.0, TurnedClock(), tmp_path)
    with pytest.raises(Unavailable, match="battery b"):
        await battery.telemetry()
    (tmp_path / "file").touch()
    battery = SimulatedBattery("b", RATING, 50.0, TurnedClock(), tmp_path / "file" / "state")
    with pytest.raises(Unavailable, match="battery b"):
        await battery.set_power(1.0)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"capacity_kwh": -1.0}, "capacity_kwh = -1"),
        ({"charge_max_kw": float("inf")}, "charge_max_kw = inf"),
        ({"charge_efficiency": 0.0}, "charge_efficiency = 0"),
        ({"discharge_efficiency": 1.1}, "discharge_efficiency = 1.1"),
        ({"soc_floor_kwh": 101.0}, "soc_floor_kwh = 101"),
    ],
)
def test_a_rating_that_makes_no_sense_is_refused(fields: dict[str, float], named: str) -> None:
    """Each names the value and the limit."""
    usual = {"capacity_kwh": 100.0, "charge_max_kw": 50.0, "discharge_max_kw": 50.0}
    with pytest.raises(ValueError, match=named):
        BatteryRating(**(usual | fields))


def test_more_than_it_holds_is_refused() -> None:
    """The first state of charge must fit."""
    with pytest.raises(ValueError, match=r"battery b: soc_kwh = 101.*100"):
        SimulatedBattery("b", RATING, 101.0, TurnedClock())
