"""GPUs as exporters name them: one reading for each, however often it is reported."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connectors.errors import ContractBroken

DCGM_POWER = "DCGM_FI_DEV_POWER_USAGE"
"""Metric of NVIDIA's DCGM exporter [W]."""

_UUID_LABELS = ("UUID", "uuid")
_HOST_LABELS = ("Hostname", "hostname", "instance")
_GPU_LABELS = ("gpu", "minor_number", "index")


@dataclass(frozen=True, slots=True)
class Sample:
    """What one line says one GPU draws."""

    gpu: str
    watts: float


def gpu_name(labels: Mapping[str, str], exporter: str) -> str:
    """Return what tells a GPU from all others; ``exporter`` is who reports it.

    One that is shared, or cut into instances, is reported once for each part, under one UUID.

    Raises
    ------
    ContractBroken
        No label says which GPU it is, as in a sum.
    """
    for name in _UUID_LABELS:
        if labels.get(name):
            return labels[name]
    number = next((labels[name] for name in _GPU_LABELS if labels.get(name)), None)
    if number is None:
        raise ContractBroken(
            f"expected a label that names the GPU ({', '.join(_UUID_LABELS + _GPU_LABELS)}), came"
            f" {dict(labels)}"
        )
    host = next((labels[name] for name in _HOST_LABELS if labels.get(name)), exporter)
    return f"{host}/{number}"


def by_gpu(samples: Iterable[Sample]) -> dict[str, float]:
    """Return the power of every GPU [W]; the highest of those reported for one.

    Raises
    ------
    ContractBroken
        A value is no power.
    """
    found: dict[str, float] = {}
    for sample in samples:
        if not 0 <= sample.watts < math.inf:
            raise ContractBroken(f"GPU {sample.gpu}: {sample.watts} W, must be >= 0 and finite")
        found[sample.gpu] = max(sample.watts, found.get(sample.gpu, 0.0))
    return found
