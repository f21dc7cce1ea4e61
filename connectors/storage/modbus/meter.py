"""A SunSpec meter at the grid connection."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from connectors.errors import ContractBroken
from connectors.storage.modbus.device import SunSpecDevice
from connectors.storage.modbus.wire import ModbusAddress
from connectors.types import MeterReading

_METERS = (203, 204, 202, 201, 213, 214, 212, 211)
_W_PER_KW = 1000.0


class ModbusMeter:
    """Implements ``Meter``. Import is positive with it, unless ``counts_export`` says otherwise."""

    def __init__(
        self,
        name: str,
        address: ModbusAddress,
        now: Callable[[], datetime],
        *,
        counts_export: bool = False,
    ) -> None:
        self.name = name
        self._now = now
        self._sign = -1.0 if counts_export else 1.0
        self._device = SunSpecDevice(address, f"meter {name}")

    async def read(self) -> MeterReading:
        """Total power of all phases."""
        there = await self._device.models()
        model = next((one for one in _METERS if one in there), None)
        if model is None:
            self._device.forget()
            raise ContractBroken(
                f"meter {self.name}: has models {sorted(there)}, needs one of {sorted(_METERS)}"
            )
        watts = (await self._device.read(model)).value("W")
        if watts is None:
            raise ContractBroken(f"meter {self.name}: W of model {model} is not implemented")
        return MeterReading(self._now(), self._sign * watts / _W_PER_KW)

    async def close(self) -> None:
        """Hang up."""
        await self._device.close()
