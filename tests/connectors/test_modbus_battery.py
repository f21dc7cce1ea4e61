"""SunSpec over Modbus TCP when things go wrong, and what devices leave out."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest

from connectors.errors import ContractBroken, Rejected, Unavailable
from connectors.storage.modbus.battery import ModbusBattery, Plate
from connectors.storage.modbus.device import SunSpecDevice
from connectors.storage.modbus.layout import Block, layout_of
from connectors.storage.modbus.meter import ModbusMeter
from connectors.storage.modbus.wire import ModbusAddress
from connectors.types import MeterReading
from tests.peers import sunspec
from tests.peers.processes import free_ports
from tests.peers.sunspec_plant import Knob

NOON = datetime(2026, 6, 7, 12, tzinfo=UTC)
PLATE = Plate(50.0, 50.0, 100.0)
ANSWER_S = 0.5


@pytest.fixture(scope="module")
def running() -> Iterator[sunspec.SunSpecPlant]:
    """A plant in another process."""
    with sunspec.running("classic") as plant:
        yield plant


@pytest.fixture
def plant(running: sunspec.SunSpecPlant) -> sunspec.SunSpecPlant:
    """As new."""
    running.turn(Knob.NEW, 1)
    return running


def battery_at(port: int, answer_s: float = 5.0) -> ModbusBattery:
    """A client."""
    return ModbusBattery(
        "bess", ModbusAddress("127.0.0.1", port, answer_s=answer_s), PLATE, lambda: NOON
    )


@pytest.fixture
async def battery(plant: sunspec.SunSpecPlant) -> AsyncIterator[ModbusBattery]:
    """A client of the plant."""
    battery = battery_at(plant.port)
    yield battery
    await battery.close()


async def test_nobody_there_is_unavailable() -> None:
    """It names battery and address."""
    port = free_ports(1)[0]
    with pytest.raises(Unavailable, match=rf"battery bess: nobody answers at 127.0.0.1:{port}"):
        await battery_at(port).telemetry()


async def test_who_takes_the_call_and_says_nothing_is_unavailable(
    plant: sunspec.SunSpecPlant,
) -> None:
    """Within the time for an answer; once it speaks again it is heard, by a new connection."""
    battery = battery_at(plant.port, ANSWER_S)
    await battery.set_power(10.0)
    plant.freeze()
    began_s = time.monotonic()
    try:
        with pytest.raises(Unavailable, match=r"battery bess: read of \d+ registers at \d+"):
            await battery.telemetry()
        assert time.monotonic() - began_s < 10 * ANSWER_S
        with pytest.raises(Unavailable):
            await battery.set_power(20.0)
    finally:
        plant.thaw()
    battery = battery_at(plant.port)
    assert (await battery.telemetry()).power_kw == pytest.approx(10.0)
    await battery.close()


async def test_a_late_answer_is_nobody_elses(battery: ModbusBattery) -> None:
    """A question that was given up does not leave its answer to the next one."""
    for wait_s in (0.0, 0.0005, 0.002):
        asked = asyncio.create_task(battery.telemetry())
        await asyncio.sleep(wait_s)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        assert (await battery.telemetry()).soc_kwh == pytest.approx(50.0)


async def test_a_walk_that_is_given_up_goes_on_where_it_was(plant: sunspec.SunSpecPlant) -> None:
    """A slow device is asked again and again for a moment: its models are found all the same."""
    device = SunSpecDevice(ModbusAddress("127.0.0.1", plant.port, answer_s=5.0), "battery x")
    read = device._connection.read
    answered: set[int] = set()

    async def once(start: int, count: int) -> tuple[int, ...]:
        assert start not in answered, f"{start} is asked for a second time"
        words = await read(start, count)
        answered.add(start)
        return words

    device._connection.read = once  # type: ignore[method-assign]
    while True:
        before = len(answered)
        walking = asyncio.create_task(device.models())
        while len(answered) == before and not walking.done():
            await asyncio.sleep(0)
        if walking.done():
            break
        walking.cancel()
        await asyncio.gather(walking, return_exceptions=True)
    assert walking.result() == {1, 103, 124, 802}
    await device.close()


async def test_a_restart_is_survived() -> None:
    """The same client goes on; the first word after the loss may be lost."""
    with sunspec.running("classic") as plant:
        battery = battery_at(plant.port)
        await battery.set_power(10.0)
        plant.stop()
        with pytest.raises(Unavailable):
            await battery.telemetry()
        plant.start()
        assert (await battery.telemetry()).power_kw == 0.0
        await battery.set_power(10.0)
        assert (await battery.telemetry()).power_kw == pytest.approx(10.0)
        await battery.close()


@pytest.mark.parametrize(
    ("code", "kind"), [(2, Rejected), (3, Rejected), (4, Unavailable), (6, Unavailable)]
)
async def test_exceptions_are_named_by_what_to_do(
    battery: ModbusBattery, plant: sunspec.SunSpecPlant, code: int, kind: type[Exception]
) -> None:
    """Illegal address and value are for a person; failure and busy pass."""
    await battery.telemetry()
    plant.turn(Knob.EXCEPTION, code)
    with pytest.raises(kind, match=rf"battery bess: read of .* exception {code}"):
        await battery.telemetry()
    plant.turn(Knob.EXCEPTION, 0)
    assert (await battery.telemetry()).soc_kwh == pytest.approx(50.0)


async def test_garbage_is_not_believed() -> None:
    """Where another model stands in the place of one it is found out, and looked for anew."""
    with sunspec.running("classic") as plant:
        battery = battery_at(plant.port)
        await battery.telemetry()
        plant.turn(Knob.GARBAGE, 2)
        with pytest.raises(ContractBroken, match=r"model 802 with \d+ registers .* now 64000"):
            await battery.telemetry()
        # What is left of it still tells enough: model 124 has a state of charge as well.
        assert (await battery.telemetry()).soc_kwh == pytest.approx(50.0)
        plant.turn(Knob.GARBAGE, 1)
        for _ in range(5):
            with pytest.raises(ContractBroken):
                await battery.telemetry()
        await battery.close()


async def test_an_order_that_is_not_obeyed_is_found_out(
    battery: ModbusBattery, plant: sunspec.SunSpecPlant
) -> None:
    """It is answered as if it were, and reads back otherwise."""
    plant.turn(Knob.DEAF, 1)
    with pytest.raises(ContractBroken, match=r"OutWRte of model 124 was told -7700, reads back"):
        await battery.set_power(38.5)


async def test_local_control_is_respected(
    battery: ModbusBattery, plant: sunspec.SunSpecPlant
) -> None:
    """Somebody stands before it: nothing is written, and it says so."""
    plant.turn(Knob.LOCAL, 1)
    state = await battery.telemetry()
    assert (state.problem, state.charge_max_kw, state.discharge_max_kw) == (
        "under local control",
        0.0,
        0.0,
    )
    with pytest.raises(Rejected, match="under local control"):
        await battery.set_power(10.0)


async def test_a_fault_is_no_power(battery: ModbusBattery, plant: sunspec.SunSpecPlant) -> None:
    """It says that it can do nothing now; before, it could do its rating."""
    assert (await battery.telemetry()).charge_max_kw == pytest.approx(50.0)
    plant.turn(Knob.FAULT, 1)
    state = await battery.telemetry()
    assert (state.problem, state.charge_max_kw) == ("inverter: fault", 0.0)


async def test_a_state_of_charge_that_is_not_told_is_no_zero(
    battery: ModbusBattery, plant: sunspec.SunSpecPlant
) -> None:
    """Not implemented is not 655.35 %, nor empty."""
    plant.turn(Knob.SOC_NOT_TOLD, 1)
    with pytest.raises(ContractBroken, match="no model tells its state of charge"):
        await battery.telemetry()


async def test_one_that_takes_no_setpoint_is_refused() -> None:
    """It has neither model 704 nor 124; what it tells is read all the same."""
    with sunspec.running("mute") as plant:
        battery = battery_at(plant.port)
        state = await battery.telemetry()
        assert (state.soc_kwh, state.setpoint_kw) == (pytest.approx(50.0), None)
        with pytest.raises(Rejected, match="takes no setpoint"):
            await battery.set_power(1.0)
        await battery.close()


async def test_the_meter_sees_load_and_battery(
    battery: ModbusBattery, plant: sunspec.SunSpecPlant
) -> None:
    """Import is positive; with the other sign where the meter counts the other way."""
    address = ModbusAddress("127.0.0.1", plant.port, unit=2)
    plant.turn(Knob.LOAD_W, 70_000)
    await battery.set_power(-20.0)
    meter = ModbusMeter("main", address, lambda: NOON)
    assert await meter.read() == MeterReading(NOON, pytest.approx(50.0))
    turned = ModbusMeter("main", address, lambda: NOON, counts_export=True)
    assert (await turned.read()).power_kw == pytest.approx(-50.0)
    await meter.close()
    await turned.close()


async def test_a_battery_is_no_meter(plant: sunspec.SunSpecPlant) -> None:
    """The models it has and those it needs are named."""
    meter = ModbusMeter("main", ModbusAddress("127.0.0.1", plant.port), lambda: NOON)
    with pytest.raises(ContractBroken, match=r"has models \[1, 103, 124, 802\], needs one of"):
        await meter.read()
    await meter.close()


async def test_what_is_no_sunspec_device_is_refused(plant: sunspec.SunSpecPlant) -> None:
    """A unit without the mark."""
    device = SunSpecDevice(ModbusAddress("127.0.0.1", plant.port, unit=99), "battery x")
    with pytest.raises(ContractBroken, match="no SunSpec device"):
        await device.models()
    await device.close()


async def test_what_is_no_modbus_is_unavailable() -> None:
    """A server of something else that greets and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def greet() -> None:
            for _ in range(2):
                one, _ = server.accept()
                one.sendall(b"SSH-2.0-nothing\r\n")
                one.close()

        greeting = asyncio.get_running_loop().run_in_executor(None, greet)
        battery = battery_at(port, ANSWER_S)
        for _ in range(2):
            with pytest.raises(Unavailable, match="battery bess"):
                await battery.telemetry()
        await greeting


@pytest.mark.parametrize(
    ("name", "words", "value"),
    [
        ("SoC", {"SoC": 0xFFFF, "SoC_SF": 0}, None),
        ("SoC", {"SoC": 505, "SoC_SF": 0xFFFF}, 50.5),
        ("SoC", {"SoC": 50, "SoC_SF": 0x8000}, 50.0),
        ("W", {"W": 0x8000, "W_SF": 0}, None),
        ("W", {"W": 0xFFFE, "W_SF": 2}, -200.0),
    ],
)
def test_points_are_scaled_and_what_is_not_implemented_is_none(
    name: str, words: dict[str, int], value: float | None
) -> None:
    """Signs, negative exponents, and a scale factor that is not implemented itself."""
    layout = layout_of(802)
    registers = [0] * layout.size
    for point, word in words.items():
        registers[layout.points[point].offset] = word
    found = Block("battery x", layout, tuple(registers)).value(name)
    assert found == (None if value is None else pytest.approx(value))


def test_a_scale_factor_that_is_none_is_refused() -> None:
    """Ten to the 300th is no unit."""
    layout = layout_of(802)
    registers = [0] * layout.size
    registers[layout.points["SoC_SF"].offset] = 300
    with pytest.raises(ContractBroken, match=r"SoC_SF of model 802 is 300, must be within"):
        Block("battery x", layout, tuple(registers)).value("SoC")
