"""SunSpec batteries and meters behind a real Modbus TCP server: ``python -m ... KIND PORT ...``.

One plant at each port.
Registers are written by pysunspec2, not by us. Unit 1 is a battery of 100 kWh and 50 kW, half full,
with the models of ``KIND``; unit 2 is the meter of its site; unit 99 is for tests: see ``Knob``.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import sunspec2.device as sunspec
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

BASE = 40_000
CAPACITY_WH, RATING_W = 100_000.0, 50_000.0
KINDS = {
    "der": (1, 701, 704, 713),
    "classic": (1, 103, 124, 802),
    "basic": (1, 103, 124),
    "mute": (1, 103, 802),
}


class Knob(IntEnum):
    """Registers of unit 99."""

    TURN_S = 0  # seconds to turn the clock forward, two registers
    LOAD_W = 2  # what else flows at the connection, signed, two registers
    EXCEPTION = 4  # answer everything with this exception
    GARBAGE = 5  # 1: random registers; 2: another model stands in the place of the storage's
    DEAF = 6  # writes are answered, and change nothing
    LOCAL = 7  # the bank is under local control
    FAULT = 8  # of the inverter
    SOC_NOT_TOLD = 9
    IN_REAL_TIME = 10
    NEW = 11  # half full and at rest again
    METER_GONE = 12


@dataclass
class Plant:
    """What the battery is doing; W as SunSpec has it, positive while generating."""

    kind: str
    knobs: list[int] = field(default_factory=lambda: [0] * 16)
    at_s: float = 0.0
    seen_s: float = field(default_factory=time.monotonic)
    soc_wh: float = CAPACITY_WH / 2
    told_w: float = 0.0
    until_s: float | None = None

    @property
    def load_w(self) -> float:
        """What else flows at the connection."""
        return _signed(self.knobs[Knob.LOAD_W : Knob.LOAD_W + 2])

    @property
    def power_w(self) -> float:
        """What flows."""
        is_empty = self.told_w > 0 and self.soc_wh <= 0
        is_full = self.told_w < 0 and self.soc_wh >= CAPACITY_WH
        return 0.0 if is_empty or is_full or self.knobs[Knob.FAULT] else self.told_w

    def live(self) -> None:
        """Let pass what has passed since the last look."""
        now_s = time.monotonic()
        passed_s = _signed(self.knobs[Knob.TURN_S : Knob.TURN_S + 2])
        self.knobs[Knob.TURN_S : Knob.TURN_S + 2] = [0, 0]
        if self.knobs[Knob.IN_REAL_TIME]:
            passed_s += now_s - self.seen_s
        self.seen_s = now_s
        end_s = self.at_s + passed_s
        if self.until_s is not None and end_s >= self.until_s:
            self._hold(self.until_s - self.at_s)
            self.told_w, self.until_s = 0.0, None
        self._hold(end_s - self.at_s)

    def renew(self) -> None:
        """Become as new; what stands in the registers of its controls does not count any more."""
        self.knobs[:] = [0] * len(self.knobs)
        self.soc_wh, self.told_w, self.until_s = CAPACITY_WH / 2, 0.0, None

    def _hold(self, seconds: float) -> None:
        self.soc_wh -= self.power_w * seconds / 3600
        self.soc_wh = min(max(self.soc_wh, 0.0), CAPACITY_WH)
        self.at_s += seconds


class Battery:
    """The models of the battery, and where they stand."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.models = {number: sunspec.Model(number) for number in KINDS[plant.kind]}
        self.places: dict[int, int] = {}
        self._set_up()
        self.registers = [0x5375, 0x6E53]
        for number, model in self.models.items():
            self.places[number] = len(self.registers)
            self.registers += _words(model)
        self.registers += [0xFFFF, 0]

    def _set_up(self) -> None:
        for number, values in {
            1: {"Mn": "Gridtide", "Md": "Test", "SN": "1"},
            103: {"W_SF": 1, "St": 4, "W": 0},
            701: {"W_SF": 1, "InvSt": 3, "W": 0},
            713: {"WH_SF": 1, "Pct_SF": -2, "WHRtg": CAPACITY_WH / 10, "Sta": 0},
            802: {
                "WHRtg_SF": 2,
                "SoC_SF": -2,
                "WChaDisChaMax_SF": 1,
                "W_SF": 1,
                "WHRtg": CAPACITY_WH / 100,
                "WChaRteMax": RATING_W / 10,
                "WDisChaRteMax": RATING_W / 10,
                "State": 3,
                "LocRemCtl": 0,
            },
            124: {
                "WChaMax_SF": 1,
                "WChaMax": RATING_W / 10,
                "InOutWRte_SF": -2,
                "ChaState_SF": -2,
                "OutWRte": 0,
                "InWRte": 0,
                "InOutWRte_RvrtTms": 0,
                "StorCtl_Mod": 0,
            },
            704: {
                "WSet_SF": 0,
                "WSetEna": 0,
                "WSetMod": 0,
                "WSet": 0,
                "WSetRvrt": 0,
                "WSetEnaRvrt": 0,
                "WSetRvrtTms": 0,
            },
        }.items():
            for name, value in values.items() if number in self.models else ():
                self._put(number, name, value)

    def _put(self, number: int, name: str, value: Any) -> None:
        point = self.models[number].points[name]
        point.value = value if isinstance(value, str) else round(value)

    def show(self, registers: list[int]) -> None:
        """Write what it measures into the registers."""
        plant, percent = self.plant, round(self.plant.soc_wh / CAPACITY_WH * 10_000)
        told = 0xFFFF if plant.knobs[Knob.SOC_NOT_TOLD] else percent
        fault = plant.knobs[Knob.FAULT]
        measured: dict[int, dict[str, float]] = {
            103: {"W": plant.power_w / 10, "St": 7 if fault else 4},
            701: {"W": plant.power_w / 10, "InvSt": 6 if fault else 3},
            713: {"SoC": told},
            802: {"SoC": told, "W": plant.power_w / 10, "LocRemCtl": plant.knobs[Knob.LOCAL]},
            124: {"ChaState": told},
        }
        for number, values in measured.items():
            if number not in self.models:
                continue
            for name, value in values.items():
                offset, point = _place(self.models[number], name)
                point.value = round(value)
                at = self.places[number] + offset
                registers[at] = int.from_bytes(point.get_mb()[:2], "big")

    def obey(self, registers: list[int]) -> None:
        """Read from the registers what it is told."""
        number = 704 if 704 in self.models else 124
        if number not in self.models:
            return
        place = self.places[number]
        model = self.models[number]
        model.set_mb(_bytes(registers[place : place + len(_words(model))]))
        get = {name: point.value for name, point in model.points.items()}
        if number == 704:
            is_set = (get["WSetEna"], get["WSetMod"]) == (1, 1)
            self._told(get["WSet"] if is_set else 0.0, get["WSetRvrtTms"])
        else:
            is_set = get["StorCtl_Mod"] == 3 and get["OutWRte"] == -get["InWRte"]
            watts = get["OutWRte"] / 10_000 * RATING_W if is_set else 0.0
            self._told(watts, get["InOutWRte_RvrtTms"])

    def _told(self, watts: float, seconds: int) -> None:
        self.plant.told_w = watts
        self.plant.until_s = self.plant.at_s + seconds if seconds else None


def _words(model: sunspec.Model) -> list[int]:
    data = model.get_mb()
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


def _bytes(words: list[int]) -> bytes:
    return b"".join(word.to_bytes(2, "big") for word in words)


def _place(model: sunspec.Model, name: str) -> tuple[int, Any]:
    offset = 0
    for point in model.points.values():
        if point.pdef["name"] == name:
            return offset, point
        offset += point.len
    raise KeyError(name)


def _signed(words: list[int]) -> int:
    return int.from_bytes(_bytes(words), "big", signed=True)


def _meter() -> tuple[list[int], int]:
    model = sunspec.Model(203)
    for name, value in {"W_SF": 1, "W": 0}.items():
        model.points[name].value = value
    return [0x5375, 0x6E53, *_words(model), 0xFFFF, 0], 2 + _place(model, "W")[0]


def trouble(plant: Plant, registers: list[int], last: int) -> ExcCodes | None:
    """Make registers wrong, or refuse, as the knobs say; ``last`` is where the last model is."""
    if plant.knobs[Knob.GARBAGE] == 1:
        registers[2:] = [random.randrange(0x10000) for _ in registers[2:]]
    if plant.knobs[Knob.GARBAGE] == 2:
        registers[last] = 64_000
    code = plant.knobs[Knob.EXCEPTION]
    return ExcCodes(code) if code else None


def battery_unit(plant: Plant) -> SimDevice:
    """Unit 1."""
    battery = Battery(plant)
    last = max(battery.places.values())

    async def act(
        _code: int, _start: int, address: int, _count: int, registers: list[int], values: Any
    ) -> ExcCodes | None:
        plant.live()
        if refused := trouble(plant, registers, last):
            return refused
        if values and plant.knobs[Knob.DEAF]:
            values[:] = registers[address - BASE : address - BASE + len(values)]
        elif values:
            told = list(registers)
            told[address - BASE : address - BASE + len(values)] = values
            battery.obey(told)
        else:
            battery.show(registers)
        return None

    return _unit(1, BASE, battery.registers, act)


def meter_unit(plant: Plant) -> SimDevice:
    """Unit 2."""
    words, at = _meter()

    async def act(
        _code: int, _start: int, _address: int, _count: int, registers: list[int], _values: Any
    ) -> ExcCodes | None:
        plant.live()
        registers[at] = round((plant.load_w - plant.power_w) / 10) & 0xFFFF
        if plant.knobs[Knob.METER_GONE]:
            return ExcCodes.GATEWAY_NO_RESPONSE
        return trouble(plant, registers, 2)

    return _unit(2, BASE, words, act)


def knobs_unit(plant: Plant) -> SimDevice:
    """Unit 99."""

    async def act(
        _code: int, _start: int, address: int, _count: int, registers: list[int], values: Any
    ) -> ExcCodes | None:
        if values:
            plant.live()
            plant.knobs[address : address + len(values)] = values
            plant.live()
            if plant.knobs[Knob.NEW]:
                plant.renew()
        registers[:] = plant.knobs
        return None

    return _unit(99, 0, [0] * len(plant.knobs), act)


def _unit(number: int, at: int, words: list[int], action: Any) -> SimDevice:
    data = SimData(at, values=words, datatype=DataType.REGISTERS)
    return SimDevice(id=number, simdata=[data], action=action)


async def main(kind: str, ports: list[int]) -> None:
    """Serve until ended."""
    servers = []
    for port in ports:
        plant = Plant(kind)
        units = [battery_unit(plant), meter_unit(plant), knobs_unit(plant)]
        servers.append(ModbusTcpServer(units, address=("127.0.0.1", port)))
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], [int(port) for port in sys.argv[2:]]))
