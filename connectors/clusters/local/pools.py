"""The GPUs of a local cluster: which are free, and what they draw."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from connectors.clusters.local.standing import Standing
from connectors.clusters.modelled import pool_power_kw
from connectors.errors import GpusBusy
from connectors.types import JobOrder, PoolCapacity


@dataclass(frozen=True, slots=True)
class LocalPool:
    """GPUs of one model on this machine.

    A GPU at work is taken to draw its power cap, at most ``kw_per_gpu``; one that is free or held
    by a frozen job draws ``idle_kw_per_gpu``.
    """

    name: str
    gpus: int
    kw_per_gpu: float = 0.7
    idle_kw_per_gpu: float = 0.0

    def __post_init__(self) -> None:
        if self.gpus < 0:
            raise ValueError(f"pool {self.name}: gpus = {self.gpus}, must be >= 0")
        if not 0 <= self.idle_kw_per_gpu <= self.kw_per_gpu < math.inf:
            raise ValueError(
                f"pool {self.name}: idle_kw_per_gpu = {self.idle_kw_per_gpu},"
                f" must be within [0, kw_per_gpu = {self.kw_per_gpu}]"
            )


def number_gpus(pools: Sequence[LocalPool]) -> dict[str, range]:
    """Give every GPU of this machine a number of its own, through all pools in their order."""
    numbered: dict[str, range] = {}
    first = 0
    for pool in pools:
        if pool.name in numbered:
            raise ValueError(f"pool {pool.name!r} occurs twice")
        numbered[pool.name] = range(first, first + pool.gpus)
        first += pool.gpus
    return numbered


def choose_gpus(
    order: JobOrder, numbered: Mapping[str, range], standings: Iterable[Standing]
) -> tuple[int, ...]:
    """Choose the lowest free GPUs for ``order``; ``GpusBusy`` where there are not enough."""
    held = {index for standing in standings for index in standing.held}
    free = [index for index in numbered[order.pool] if index not in held]
    if len(free) < order.gpus:
        raise GpusBusy(
            f"job {order.key}: {order.gpus} GPUs of pool {order.pool}, only {len(free)} are free"
        )
    return tuple(free[: order.gpus])


def capacity(pools: Sequence[LocalPool], standings: Sequence[Standing]) -> tuple[PoolCapacity, ...]:
    """Return what every pool has and what jobs hold of it."""
    return tuple(
        PoolCapacity(
            pool=pool.name,
            gpus_total=pool.gpus,
            gpus_available=pool.gpus,
            gpus_in_use=sum(len(job.held) for job in standings if job.order.pool == pool.name),
        )
        for pool in pools
    )


def power_kw(pools: Sequence[LocalPool], standings: Sequence[Standing]) -> float:
    """Return what all GPUs together are taken to draw [kW]."""
    jobs = [standing.observation() for standing in standings]
    return sum(
        pool_power_kw(pool.name, pool.gpus, pool.kw_per_gpu, pool.idle_kw_per_gpu, jobs)
        for pool in pools
    )
