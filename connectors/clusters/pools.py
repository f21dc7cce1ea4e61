"""The GPUs of a local cluster: which are free, what they draw, and orders they can never serve."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from connectors.clusters.standing import Standing
from connectors.errors import GpusBusy, Rejected
from connectors.types import JobOrder, JobState, PoolCapacity


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
    total_kw = 0.0
    for pool in pools:
        running = [
            job
            for job in standings
            if job.order.pool == pool.name and job.state is JobState.RUNNING
        ]
        at_work = sum(len(job.held) for job in running)
        total_kw += pool.idle_kw_per_gpu * max(0, pool.gpus - at_work)
        for job in running:
            cap_kw = math.inf if job.power_cap_w is None else job.power_cap_w / 1000
            total_kw += len(job.held) * min(cap_kw, pool.kw_per_gpu)
    return total_kw


def refuse_bad_order(order: JobOrder, numbered: Mapping[str, range]) -> None:
    """Raise ``Rejected`` for an order that can never be run here."""
    if not order.command:
        raise Rejected(f"job {order.key}: command is empty")
    strings = [*order.command, *order.environment, *order.environment.values()]
    if any("\0" in string for string in strings) or any("=" in n for n in order.environment):
        raise Rejected(f"job {order.key}: command or environment has a NUL, or a name has '='")
    if order.pool not in numbered:
        raise Rejected(f"job {order.key}: no pool {order.pool!r}, there are {sorted(numbered)}")
    total = len(numbered[order.pool])
    if not 0 <= order.gpus <= total:
        raise Rejected(
            f"job {order.key}: gpus = {order.gpus}, must be within [0, {total}] of {order.pool}"
        )
    if not 0 <= order.checkpoint_grace_s < math.inf:
        raise Rejected(
            f"job {order.key}: checkpoint_grace_s = {order.checkpoint_grace_s}, must be >= 0"
        )
    refuse_bad_power_cap(order.key, order.power_cap_w)


def refuse_bad_power_cap(key: str, power_cap_w: float | None) -> None:
    """Raise ``Rejected`` for a cap no GPU can keep."""
    if power_cap_w is not None and not 0 < power_cap_w < math.inf:
        raise Rejected(f"job {key}: power_cap_w = {power_cap_w}, must be > 0 and finite")
