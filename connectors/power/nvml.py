"""Power of the GPUs of this machine, from the driver itself by NVML.

A GPU that counts its energy (Volta and later) is read by its counter: the mean since the last
reading, so that what it drew in between is in no reading or in exactly one. Others, and those read
for the first time, are read by what they draw at this instant.

Needs ``nvidia-ml-py``, which the extra ``gridtide[nvml]`` installs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pynvml

from connectors.errors import Rejected, Unavailable
from connectors.types import MeasuredPower, PowerScope

_NOT_HERE = (
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
    pynvml.NVML_ERROR_NO_PERMISSION,
)


SHORTEST_MEAN_S = 10.0  # the counters step about ten times a second
LONGEST_MEAN_S = 300.0  # what is longer ago says nothing of now


@dataclass(frozen=True, slots=True)
class _Counted:
    """The energy counter of a GPU [mJ] at an instant [s of the clock]."""

    millijoules: int
    at_s: float


class NvmlPower:
    """Implements ``PowerSource`` for the first ``gpus`` GPUs, in the order of their bus.

    ``clock`` counts seconds and never goes back.
    """

    name = "nvml"
    scope = PowerScope.GPUS

    def __init__(self, gpus: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._gpus = gpus
        self._clock = clock
        self._last: dict[str, _Counted] = {}  # by UUID: a number passes on where a GPU is gone

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
            return self._read_all(min(self._gpus, pynvml.nvmlDeviceGetCount()))
        except pynvml.NVMLError as error:
            raise Unavailable(f"NVML: {error}") from error
        finally:
            pynvml.nvmlShutdown()

    def _read_all(self, gpus: int) -> MeasuredPower:
        milliwatts = 0.0
        silent = []
        for index in range(gpus):
            try:
                milliwatts += self._milliwatts(index)
            except pynvml.NVMLError as error:
                silent.append(f"GPU {index}: {error}")
        return MeasuredPower(milliwatts / 1e6, gpus - len(silent), tuple(silent))

    def _milliwatts(self, index: int) -> float:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        uuid = str(pynvml.nvmlDeviceGetUUID(handle))
        before, now = self._last.pop(uuid, None), self._count(handle)
        if now is not None:
            self._last[uuid] = now
        if before is None or now is None or now.millijoules < before.millijoules:
            return float(pynvml.nvmlDeviceGetPowerUsage(handle))
        seconds = now.at_s - before.at_s
        if seconds < SHORTEST_MEAN_S:
            self._last[uuid] = before  # it is still to become a mean
        if not SHORTEST_MEAN_S <= seconds <= LONGEST_MEAN_S:
            return float(pynvml.nvmlDeviceGetPowerUsage(handle))
        return (now.millijoules - before.millijoules) / seconds

    def _count(self, handle: Any) -> _Counted | None:
        try:
            millijoules = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        except pynvml.NVMLError:
            return None  # whether it is there at all, its power says
        return _Counted(millijoules, self._clock())
