"""A SunSpec battery: state of charge, power at its inverter, what it can do now, and setpoints."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from connectors.errors import ContractBroken, Rejected
from connectors.storage.modbus.controls import (
    order_of,
    require_control,
    require_in_force,
    setpoint_kw,
)
from connectors.storage.modbus.device import SunSpecDevice
from connectors.storage.modbus.layout import Block
from connectors.storage.modbus.wire import ModbusAddress
from connectors.types import StorageTelemetry

log = logging.getLogger(__name__)

_STORAGE = (802, 713, 124)
_INVERTERS = (701, 103, 102, 101, 113, 112, 111)
_CONTROLS = (704, 124)
_PER_K = 1000.0
_LOCAL = 1
# Of model 802; in every other state but these it moves no energy.
_STATES = {1: "disconnected", 2: "initialising", 6: "suspending", 99: "fault"}
_INVERTER_FAULT = {701: ("InvSt", 6)} | dict.fromkeys(_INVERTERS[1:], ("St", 7))


@dataclass(frozen=True, slots=True)
class Plate:
    """What a battery can do, as its owner says: the device may be able to do less.

    ``capacity_kwh`` counts where the device does not tell its own.
    """

    charge_max_kw: float
    discharge_max_kw: float
    capacity_kwh: float


class ModbusBattery:
    """Implements ``Battery``."""

    def __init__(
        self, name: str, address: ModbusAddress, plate: Plate, now: Callable[[], datetime]
    ) -> None:
        self.name = name
        self._plate = plate
        self._now = now
        self._device = SunSpecDevice(address, f"battery {name}")
        self._has_warned = False

    async def telemetry(self) -> StorageTelemetry:
        """State as its models tell it."""
        try:
            return await self._telemetry()
        except ContractBroken:
            self._device.forget()  # other models may have come into the place of those it had
            raise

    async def _telemetry(self) -> StorageTelemetry:
        blocks = await self._read((*_STORAGE, *_INVERTERS, 704))
        problem = _problem(blocks)
        most = _most_kw(blocks)
        control = next((blocks[one] for one in _CONTROLS if one in blocks), None)
        return StorageTelemetry(
            at=self._now(),
            soc_kwh=self._soc_kwh(blocks),
            power_kw=self._power_kw(blocks),
            setpoint_kw=None if control is None else setpoint_kw(control),
            charge_max_kw=0.0 if problem else most[0],
            discharge_max_kw=0.0 if problem else most[1],
            problem=problem,
        )

    async def set_power(self, power_kw: float, hold_s: float | None = None) -> None:
        """Write the setpoint, and read back that it is in force."""
        least, most = -self._plate.discharge_max_kw, self._plate.charge_max_kw
        if not least <= power_kw <= most:
            raise Rejected(
                f"battery {self.name}: power_kw = {power_kw:g},"
                f" must be within [{least:g}, {most:g}]"
            )
        blocks = await self._read((802, *_CONTROLS))
        if 802 in blocks and blocks[802].raw("LocRemCtl") == _LOCAL:
            raise Rejected(f"battery {self.name}: is under local control and takes no orders")
        control = require_control(
            self._device.called, [blocks[one] for one in _CONTROLS if one in blocks]
        )
        order = order_of(control, power_kw, hold_s)
        for run in order.writes:
            await self._device.write(control.layout.model, run)
        require_in_force(await self._device.read(control.layout.model), order)
        if hold_s is not None and not order.reverts and not self._has_warned:
            self._has_warned = True
            log.warning("battery %s does not go to rest when nobody speaks to it", self.name)

    async def close(self) -> None:
        """Hang up."""
        await self._device.close()

    async def _read(self, wanted: tuple[int, ...]) -> dict[int, Block]:
        """Read those of the models that it has."""
        there = await self._device.models()
        return {model: await self._device.read(model) for model in wanted if model in there}

    def _soc_kwh(self, blocks: Mapping[int, Block]) -> float:
        for model, share, rating in ((802, "SoC", "WHRtg"), (713, "SoC", "WHRtg")):
            if model in blocks and (percent := blocks[model].value(share)) is not None:
                capacity_wh = blocks[model].value(rating)
                capacity = capacity_wh / _PER_K if capacity_wh else self._plate.capacity_kwh
                return self._of(percent, model, share) * capacity
        if 124 in blocks and (percent := blocks[124].value("ChaState")) is not None:
            return self._of(percent, 124, "ChaState") * self._plate.capacity_kwh
        raise ContractBroken(f"battery {self.name}: no model tells its state of charge")

    def _of(self, percent: float, model: int, name: str) -> float:
        if not 0.0 <= percent <= 100.0:
            raise ContractBroken(
                f"battery {self.name}: {name} of model {model} = {percent:g} %,"
                " must be within [0, 100]"
            )
        return percent / 100.0

    def _power_kw(self, blocks: Mapping[int, Block]) -> float:
        """Power on the grid side; that of the bank alone where no inverter tells."""
        for model in (*_INVERTERS, 802):
            if model in blocks and (watts := blocks[model].value("W")) is not None:
                return -watts / _PER_K
        raise ContractBroken(f"battery {self.name}: no model tells its power")


def _problem(blocks: Mapping[int, Block]) -> str:
    """Say why it moves no energy whatever it is told; empty where it does."""
    bank = blocks.get(802)
    if bank is not None and bank.raw("LocRemCtl") == _LOCAL:
        return "under local control"
    if bank is not None and (state := _STATES.get(int(bank.raw("State") or 0))):
        return f"bank: {state}"
    if 713 in blocks and blocks[713].raw("Sta") == 2:
        return "storage: error"
    for model, (name, fault) in _INVERTER_FAULT.items():
        if model in blocks and blocks[model].raw(name) == fault:
            return "inverter: fault"
    return ""


def _most_kw(blocks: Mapping[int, Block]) -> tuple[float | None, float | None]:
    """Return what it says it can charge and discharge with; ``None``: it does not say."""
    if 802 in blocks:
        charge, discharge = (blocks[802].value(name) for name in ("WChaRteMax", "WDisChaRteMax"))
    elif 124 in blocks:
        charge = discharge = blocks[124].value("WChaMax")
    else:
        return None, None
    return (
        None if charge is None else charge / _PER_K,
        None if discharge is None else discharge / _PER_K,
    )
