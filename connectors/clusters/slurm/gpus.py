"""The GPUs of a Slurm cluster: which nodes make a pool, what is free, how an order is laid out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from connectors.clusters.slurm.config import SlurmPool
from connectors.clusters.slurm.transport import SlurmNode
from connectors.errors import GpusBusy, Rejected
from connectors.types import JobOrder

_AWAY = frozenset(
    (
        "DOWN",
        "ERROR",
        "FAIL",
        "FAILING",
        "FUTURE",
        "INVAL",
        "INVALID_REG",
        "MAINTENANCE",
        "NOT_RESPONDING",
        "REBOOT_ISSUED",
        "REBOOT_REQUESTED",
        "UNKNOWN",
    )
)
_LEAVING = frozenset(("DRAIN", "DRAINED", "DRAINING"))
_RESERVED = frozenset(("RESERVED",))


@dataclass(frozen=True, slots=True)
class NodeGpus:
    """GPUs of one pool on one node: all of them, those it offers, and those in use."""

    node: str
    total: int
    offered: int
    used: int

    @property
    def free(self) -> int:
        """Those a job could take now."""
        return max(0, self.offered - self.used)


def is_away(node: SlurmNode) -> bool:
    """Whether a node is down, off or not heard of."""
    return bool(node.states & _AWAY)


def gpus_of(pool: SlurmPool, nodes: Iterable[SlurmNode]) -> list[NodeGpus]:
    """Return the GPUs of ``pool`` by node.

    A node that is draining or away offers no more than what is in use on it.
    """
    found = []
    for node in nodes:
        is_of_pool = pool.partition in node.partitions and node.features.issuperset(pool.features)
        total = _count(node.gpus, pool.gres_type)
        if not is_of_pool or total == 0:
            continue
        used = _count(node.gpus_used, pool.gres_type)
        away = _AWAY if pool.reservation is not None else _AWAY | _RESERVED
        offered = used if node.states & (away | _LEAVING) else total
        found.append(NodeGpus(node.name, total, offered, used))
    return found


def nodes_for(order: JobOrder, gpus: Sequence[NodeGpus]) -> int:
    """Return over how many nodes ``order`` is laid, in equal parts.

    Raises
    ------
    Rejected
        It fits no node, and no whole number of them.
    """
    most = max((one.total for one in gpus), default=0)
    if order.gpus <= most:
        return 1
    if order.gpus % most:
        raise Rejected(
            f"job {order.key}: gpus = {order.gpus}, must be at most {most} or a multiple of it:"
            f" pool {order.pool} has {most} GPUs per node"
        )
    return order.gpus // most


def refuse_busy(order: JobOrder, gpus: Sequence[NodeGpus], n_nodes: int, n_queued: int) -> None:
    """Raise ``GpusBusy`` where the GPUs asked for are not free now.

    ``n_queued`` GPUs are spoken for by orders in the queue, on whichever nodes.
    """
    if order.gpus == 0:
        return
    free = sum(one.free for one in gpus) - n_queued
    if order.gpus > free:
        raise GpusBusy(
            f"job {order.key}: {order.gpus} GPUs of pool {order.pool}, only {max(0, free)} are free"
        )
    each = order.gpus // n_nodes
    fitting = sum(one.free >= each for one in gpus)
    if fitting < n_nodes:
        raise GpusBusy(
            f"job {order.key}: {each} GPUs on each of {n_nodes} nodes of pool {order.pool},"
            f" only {fitting} nodes have them free"
        )


def _count(gpus: dict[str, int], gres_type: str | None) -> int:
    return sum(gpus.values()) if gres_type is None else gpus.get(gres_type, 0)
