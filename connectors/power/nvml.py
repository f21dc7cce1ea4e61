"""Power of the GPUs of this machine, from the driver itself by NVML.

Needs ``nvidia-ml-py``, which the extra ``gridtide[nvml]`` installs.
"""

from __future__ import annotations

import asyncio

import pynvml

from connectors.errors import Rejected, Unavailable
from connectors.types import MeasuredPower, PowerScope

_NOT_HERE = (
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
    pynvml.NVML_ERROR_NO_PERMISSION,
)


class NvmlPower:
    """Implements ``PowerSource`` for the first ``gpus`` GPUs, in the order of their bus."""

    name = "nvml"
    scope = PowerScope.GPUS

    def __init__(self, gpus: int) -> None:
        self._gpus = gpus

    async def read(self) -> MeasuredPower:
        """Power now. GPUs that do not tell are named as silent."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> MeasuredPower:
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            kind = Rejected if error.value in _NOT_HERE else Unavailable
            raise kind(f"NVML: {error}") from error
        try:
            there = min(self._gpus, pynvml.nvmlDeviceGetCount())
            return _read_all(there)
        except pynvml.NVMLError as error:
            raise Unavailable(f"NVML: {error}") from error
        finally:
            pynvml.nvmlShutdown()


def _read_all(gpus: int) -> MeasuredPower:
    milliwatts = 0
    silent = []
    for index in range(gpus):
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            milliwatts += pynvml.nvmlDeviceGetPowerUsage(handle)
        except pynvml.NVMLError as error:
            silent.append(f"GPU {index}: {error}")
    return MeasuredPower(milliwatts / 1e6, gpus - len(silent), tuple(silent))
