"""The loop of one site against a real plant: what it does, and what it does when others are silent.

Times are short, so that silence is soon too long: limits of two seconds, ticks without a rest.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.storage.modbus.battery import ModbusBattery, Plate
from connectors.storage.modbus.meter import ModbusMeter
from connectors.storage.modbus.wire import ModbusAddress
from connectors.types import GridEventNotice, PowerReading, Window
from scheduler.services.site_control import SiteController, Ticked
from scheduler.services.site_devices import ClusterMeter, Devices
from scheduler.services.site_orders import Orders
from scheduler.specs.fleet import SiteSpec
from scheduler.timekeeping import system_now
from tests.peers import sunspec
from tests.peers.sunspec_plant import Knob
from tests.services.builders import site_spec
from tests.services.fakes import FakeBattery, FakeCluster
from tests.services.test_carried_state import charging

SILENT_S, HOLD_S = 2.0, 4.0
CONTROL = {
    "every_s": 1.0,
    "answer_s": 0.5,
    "plan_silent_s": SILENT_S,
    "meter_silent_s": SILENT_S,
    "battery_silent_s": SILENT_S,
    "hold_s": HOLD_S,
}
BATTERY = {
    "name": "bess",
    "power_kw": 50,
    "capacity_kwh": 100,
    "soc_initial_kwh": 50,
    "ramp_kw_per_s": 200,
}


def site(**changes: Any) -> SiteSpec:
    """A site of 100 kW with one battery of 50 kW."""
    document = site_spec(batteries=[BATTERY], control=CONTROL) | changes
    return SiteSpec.model_validate(document)


@dataclass
class Desk:
    """What the loop is handed: orders as the test has them, and whether it may tell."""

    wanted_kw: float = 0.0
    calls: tuple[GridEventNotice, ...] = ()
    may_tell: bool = True
    is_silent: bool = False
    _read_s: float = 0.0

    def orders(self) -> Orders:
        """Read now, unless the database is silent."""
        if not self.is_silent:
            self._read_s = time.monotonic()
        wanted = self.wanted_kw

        class Wanting(Orders):
            def wanted_kw(self, _site: str, _now: datetime) -> dict[str, float]:
                return {"bess": wanted}

        return Wanting(None, None, None, self.calls, self._read_s)


@pytest.fixture(scope="module")
def running() -> Iterator[sunspec.SunSpecPlant]:
    """A plant in another process, in real time."""
    with sunspec.running("der") as plant:
        yield plant


@pytest.fixture
def plant(running: sunspec.SunSpecPlant) -> sunspec.SunSpecPlant:
    """As new, with a load of 40 kW."""
    running.turn(Knob.NEW, 1)
    running.turn(Knob.IN_REAL_TIME, 1)
    running.turn(Knob.LOAD_W, 40_000)
    return running


def devices_at(port: int, answer_s: float = 0.5) -> Devices:
    """Clients of a plant."""
    battery = ModbusBattery(
        "bess",
        ModbusAddress("127.0.0.1", port, answer_s=answer_s),
        Plate(50.0, 50.0, 100.0),
        system_now,
    )
    meter = ModbusMeter("DE", ModbusAddress("127.0.0.1", port, 2, answer_s), system_now)
    return Devices(meter, {"bess": battery})


@asynccontextmanager
async def looped(controller: SiteController) -> AsyncIterator[Callable[[], Ticked]]:
    """Tick after tick in the background; gives what the last one saw and did."""
    seen: list[Ticked] = []

    async def run() -> None:
        while True:
            seen.append(await controller.tick())
            await asyncio.sleep(0.05)

    task = asyncio.create_task(run())
    try:
        yield lambda: seen[-1]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await controller.close()


async def until(is_so: Callable[[], bool], within_s: float = 40.0) -> float:
    """Wait until something is so; return how long it took [s]."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < within_s:
        with suppress(IndexError, KeyError):  # no tick is over yet, or nothing was heard
            if is_so():
                return time.monotonic() - began_s
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {within_s:g} s")


def controller_of(plant: sunspec.SunSpecPlant, desk: Desk, **changes: Any) -> SiteController:
    """The loop of a site with that plant."""
    spec = site(**changes)
    assert spec.control is not None
    return SiteController(
        spec,
        spec.control,
        devices_at(plant.port),
        desk.orders,
        lambda: desk.may_tell,
        system_now,
    )


async def test_it_follows_the_plan_and_holds_the_limit(plant: sunspec.SunSpecPlant) -> None:
    """20 kW as planned; when the load leaps to 90 it stops, at 120 it helps, then goes on."""
    desk = Desk(wanted_kw=20.0)
    async with looped(controller_of(plant, desk)) as last:
        await until(lambda: last().import_kw == pytest.approx(60.0, abs=0.1))
        for load_w, import_kw, power_kw in ((90_000, 100, 10), (120_000, 100, -20), (0, 20, 20)):
            plant.turn(Knob.LOAD_W, load_w)
            wanted = pytest.approx((import_kw, power_kw), abs=0.1)

            def flows() -> tuple[float | None, float]:
                return last().import_kw, last().batteries["bess"].power_kw

            await until(lambda wanted=wanted: flows() == wanted)
        assert last().problems == ()


def call(site: str, window: Window, limit_kw: float) -> GridEventNotice:
    """Return an event of the grid side."""
    return GridEventNotice("dr", site, window, limit_kw, 1.0)


async def test_a_call_lowers_the_limit_while_it_lasts(plant: sunspec.SunSpecPlant) -> None:
    """An event of the grid side for this site, not those of others or of another time."""
    now = system_now()
    hour = timedelta(hours=1)
    ended = call("DE", Window(now - 2 * hour, now - hour), 1.0)
    others = call("FR", Window(now - hour, now + hour), 2.0)
    called = call("DE", Window(now - hour, now + timedelta(seconds=60)), 25.0)
    desk = Desk(calls=(ended, others, called))
    async with looped(controller_of(plant, desk)) as last:
        await until(lambda: last().import_kw == pytest.approx(25.0, abs=0.1))
        assert last().limits.import_kw == 25.0
        desk.calls = (ended, others)
        await until(lambda: last().import_kw == pytest.approx(40.0, abs=0.1))


async def test_without_a_scheduler_it_rests_and_defends_the_limit(
    plant: sunspec.SunSpecPlant,
) -> None:
    """Nothing is read any more: after its time the plan is not followed, and then it is again."""
    desk = Desk(wanted_kw=20.0)
    async with looped(controller_of(plant, desk)) as last:
        await until(lambda: last().import_kw == pytest.approx(60.0, abs=0.1))
        desk.is_silent = True
        took_s = await until(lambda: last().import_kw == pytest.approx(40.0, abs=0.1))
        assert took_s > SILENT_S / 2
        assert "the scheduler is silent" in last().problems[0]
        plant.turn(Knob.LOAD_W, 110_000)
        await until(lambda: last().import_kw == pytest.approx(100.0, abs=0.1))
        plant.turn(Knob.LOAD_W, 40_000)
        desk.is_silent = False
        await until(lambda: last().import_kw == pytest.approx(60.0, abs=0.1))
        assert last().problems == ()


async def test_a_plant_that_freezes_rests_by_itself_and_is_taken_up_again(
    plant: sunspec.SunSpecPlant,
) -> None:
    """Nobody can tell it: what it was told ends with its time. Meter and battery are named."""
    desk = Desk(wanted_kw=20.0)
    async with looped(controller_of(plant, desk)) as last:
        await until(lambda: last().import_kw == pytest.approx(60.0, abs=0.1))
        plant.freeze()
        try:
            await until(lambda: len(last().batteries) == 0 and last().load_kw is None)
            said = " ".join(last().problems)
            assert "the meter is silent" in said
            assert "battery bess is silent" in said
            await asyncio.sleep(HOLD_S)  # and it was frozen before
        finally:
            plant.thaw()
        reader = devices_at(plant.port, 2.0).batteries["bess"]
        await until(lambda: last().import_kw == pytest.approx(60.0, abs=0.1))
        assert (await reader.telemetry()).power_kw == pytest.approx(20.0, abs=0.1)
        await reader.close()


async def test_without_a_meter_batteries_rest(plant: sunspec.SunSpecPlant) -> None:
    """The battery answers, the meter is gone; with the meter it goes on."""
    desk = Desk(wanted_kw=20.0)
    controller = controller_of(plant, desk)
    meter = controller._devices.meter
    gone = ModbusMeter("DE", ModbusAddress("127.0.0.1", 1, 2, 0.5), system_now)
    async with looped(controller) as last:
        await until(lambda: last().import_kw == pytest.approx(60.0, abs=0.1))
        controller._devices = replace(controller._devices, meter=gone)
        took_s = await until(lambda: last().batteries["bess"].power_kw == 0.0)
        assert took_s > SILENT_S / 2
        assert "the meter is silent" in last().problems[0]
        controller._devices = replace(controller._devices, meter=meter)
        await until(lambda: last().import_kw == pytest.approx(60.0, abs=0.1))


@pytest.mark.parametrize(("knob", "value"), [(Knob.EXCEPTION, 4), (Knob.GARBAGE, 2)])
async def test_exceptions_and_garbage_count_as_silence(knob: Knob, value: int) -> None:
    """What cannot be believed is not acted on, and does not end the loop."""
    with sunspec.running("der") as plant:
        plant.turn(Knob.IN_REAL_TIME, 1)
        plant.turn(Knob.LOAD_W, 40_000)
        async with looped(controller_of(plant, Desk(wanted_kw=20.0))) as last:
            await until(lambda: last().import_kw == pytest.approx(60.0, abs=0.1))
            plant.turn(knob, value)
            await until(lambda: last().load_kw is None)
            plant.stop()
            plant.start()
            plant.turn(Knob.IN_REAL_TIME, 1)
            plant.turn(Knob.LOAD_W, 40_000)
            await until(lambda: last().import_kw == pytest.approx(60.0, abs=0.1))


async def test_who_does_not_hold_the_site_tells_nothing(plant: sunspec.SunSpecPlant) -> None:
    """It watches, so that it can take over at once."""
    desk = Desk(wanted_kw=20.0, may_tell=False)
    async with looped(controller_of(plant, desk)) as last:
        await until(lambda: last().told_kw == {"bess": pytest.approx(20.0)})
        assert last().batteries["bess"].power_kw == 0.0
        desk.may_tell = True
        await until(lambda: last().import_kw == pytest.approx(60.0, abs=0.1))


async def test_a_battery_that_is_refused_leaves_the_others_alone(
    plant: sunspec.SunSpecPlant,
) -> None:
    """One is under local control: it is named, and the other one helps with the whole of it."""
    spec = site(batteries=[BATTERY, BATTERY | {"name": "twin"}])
    assert spec.control is not None
    with sunspec.running("classic") as twin:
        twin.turn(Knob.IN_REAL_TIME, 1)
        twin.turn(Knob.LOCAL, 1)
        devices = devices_at(plant.port)
        other = devices_at(twin.port).batteries["bess"]
        both = Devices(devices.meter, {**devices.batteries, "twin": other})
        controller = SiteController(
            spec, spec.control, both, Desk().orders, lambda: True, system_now
        )
        plant.turn(Knob.LOAD_W, 130_000)
        async with looped(controller) as last:
            await until(lambda: last().import_kw == pytest.approx(100.0, abs=0.1))
            assert last().batteries["bess"].power_kw == pytest.approx(-30.0, abs=0.1)
            assert any("twin: under local control" in one for one in last().problems)


async def test_who_hangs_is_left_alone_and_holds_up_nobody() -> None:
    """One battery never answers: ticks take no longer than two answers may."""

    class Hanging(FakeBattery):
        async def telemetry(self) -> Any:
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    continue  # it does not even give up

    spec = site(batteries=[BATTERY, BATTERY | {"name": "twin"}])
    assert spec.control is not None
    cluster = FakeCluster()
    meter = ClusterMeter(cluster, 1.0, 120.0, system_now)
    hanging = Hanging("twin", system_now, 50.0)
    helping = FakeBattery("bess", system_now, 50.0)
    devices = Devices(meter, {"bess": helping, "twin": hanging})
    controller = SiteController(
        spec, spec.control, devices, Desk().orders, lambda: True, system_now
    )
    for _ in range(3):
        began_s = time.monotonic()
        ticked = await controller.tick()
        assert time.monotonic() - began_s < 3.0
    assert helping.told[-1][1] == pytest.approx(-20.0)
    assert any("battery twin is still at the last call" in one for one in ticked.problems)
    hanging_task = controller._lines["twin"]._call
    assert hanging_task is not None
    for task in asyncio.all_tasks():
        if task is hanging_task:
            task.get_coro().close()  # type: ignore[union-attr]


async def test_a_cluster_is_a_meter_of_the_load() -> None:
    """What its GPUs draw times PUE, plus the base load: batteries are not in it."""
    cluster = FakeCluster()
    cluster.reading = PowerReading(10.0, is_measured=True)
    reading = await ClusterMeter(cluster, 1.2, 5.0, system_now).read()
    assert (reading.power_kw, reading.includes_batteries) == (pytest.approx(17.0), False)


def test_the_plan_says_what_is_wanted_within_its_window() -> None:
    """Its slot's charge less discharge; before and after it, nothing."""
    document = charging()
    orders = Orders(document.fleet, None, document, (), math.inf)
    hour = timedelta(hours=1)
    assert orders.wanted_kw("DE", document.window.start + hour) == {"battery": 1.0}
    assert orders.wanted_kw("DE", document.window.start + 5 * hour) == {"battery": 0.0}
    assert orders.wanted_kw("DE", document.window.start - hour) == {}
    assert orders.wanted_kw("DE", document.window.end) == {}
    assert orders.wanted_kw("FR", document.window.start) == {}
    assert replace(orders, plan=None).wanted_kw("DE", datetime(2021, 7, 5, tzinfo=UTC)) == {}


def test_after_a_call_its_rebound_is_defended_for_as_long_as_was_agreed() -> None:
    """From the end of the call on, no longer, and at no other site."""
    start = datetime(2026, 6, 8, 12, tzinfo=UTC)
    hour = timedelta(hours=1)
    call = GridEventNotice(
        "dr", "DE", Window(start, start + hour), 5.0, 1.0, rebound_kw=30.0, rebound_minutes=60.0
    )
    orders = Orders(None, None, None, (call,), math.inf)
    at = [start - hour, start, start + hour, start + 1.99 * hour, start + 2 * hour]
    full_kw = site().grid.import_limit_kw
    assert [orders.limits(site(), now).import_kw for now in at] == [full_kw, 5, 30, 30, full_kw]
    other = SiteSpec.model_validate(site_spec("FR"))
    assert orders.limits(other, at[2]).import_kw == other.grid.import_limit_kw
