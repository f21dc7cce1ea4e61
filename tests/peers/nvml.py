"""The functions of ``nvidia-ml-py`` that are called, on GPUs that are none.

Each stands in for the real one by its signature, so that a call which the real library would not
take fails here as well. Errors are the library's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from unittest.mock import create_autospec

import pynvml
import pytest


class FakeNvml:
    """A machine whose GPUs are those of all ``drawn`` nodes, in their order [W]."""

    def __init__(
        self, drawn: Mapping[str, Mapping[int, float]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._gpus = [(node, gpu) for node, gpus in drawn.items() for gpu in gpus]
        self._watts = {(node, gpu): drawn[node][gpu] for node, gpu in self._gpus}
        self._silent: set[str] = set()
        self._joules = dict.fromkeys(self._watts, 0.0)
        self.counts_energy = True
        self.now_s = 0.0
        self.is_open = False
        for name in (
            "nvmlInit",
            "nvmlShutdown",
            "nvmlDeviceGetCount",
            "nvmlDeviceGetHandleByIndex",
            "nvmlDeviceGetUUID",
            "nvmlDeviceGetPowerUsage",
            "nvmlDeviceGetTotalEnergyConsumption",
        ):
            act: Callable[..., Any] = getattr(self, name)
            stand_in = create_autospec(getattr(pynvml, name), side_effect=act)
            monkeypatch.setattr(pynvml, name, stand_in)

    def set_watts(self, node: str, gpu: int, watts: float) -> None:
        """Let a GPU draw this."""
        self._watts[node, gpu] = watts

    def clock(self) -> float:
        """What a source may take for its clock [s]."""
        return self.now_s

    def let_pass(self, seconds: float) -> None:
        """Let every GPU draw what it draws for so long, and count it."""
        self.now_s += seconds
        for gpu, watts in self._watts.items():
            self._joules[gpu] += watts * seconds

    def load_driver_anew(self) -> None:
        """Let the counters begin at zero."""
        self._joules = dict.fromkeys(self._watts, 0.0)

    def remove(self, node: str, gpu: int) -> None:
        """Let a GPU be gone, and those behind it move up by one."""
        self._gpus.remove((node, gpu))

    def silence(self, *nodes: str) -> None:
        """Let the GPUs of these fall off the bus; without any left, the driver does not answer."""
        self._silent |= set(nodes)

    def nvmlInit(self) -> None:  # noqa: N802 - the library's name, as are those below
        """Open the library."""
        if self._silent >= {node for node, _ in self._gpus}:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
        self.is_open = True

    def nvmlShutdown(self) -> None:  # noqa: N802
        """Close it."""
        self.is_open = False

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        """How many GPUs there are."""
        self._must_be_open()
        return len(self._gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> tuple[str, int]:  # noqa: N802
        """What names one."""
        self._must_be_open()
        node, gpu = self._gpus[index]
        if node in self._silent:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return node, gpu

    def nvmlDeviceGetUUID(self, handle: tuple[str, int]) -> str:  # noqa: N802
        """What names it wherever it is."""
        self._must_be_open()
        return "GPU-{}-{}".format(*handle)

    def nvmlDeviceGetPowerUsage(self, handle: tuple[str, int]) -> int:  # noqa: N802
        """What it draws [mW]."""
        self._must_be_open()
        return round(self._watts[handle] * 1000)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: tuple[str, int]) -> int:  # noqa: N802
        """What it drew since the driver was loaded [mJ]."""
        self._must_be_open()
        if not self.counts_energy:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return round(self._joules[handle] * 1000)

    def _must_be_open(self) -> None:
        if not self.is_open:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_UNINITIALIZED)
