"""The GPUs of a Kubernetes cluster: which nodes have them, who holds them, what fits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from connectors.clusters.kubernetes.config import KubernetesPool
from connectors.clusters.kubernetes.standing import Standing
from connectors.clusters.kubernetes.views import NodeView, PodView
from connectors.clusters.measured import GpusThere
from connectors.clusters.modelled import pool_power_kw
from connectors.errors import GpusBusy
from connectors.types import JobObservation, JobOrder, PoolCapacity

_EFFECTS_THAT_KEEP_OUT = {"NoSchedule", "NoExecute"}


@dataclass(frozen=True, slots=True)
class Parts:
    """How an order is cut: ``n_pods`` pods, each on one node with ``gpus_each`` GPUs."""

    n_pods: int
    gpus_each: int


@dataclass(frozen=True, slots=True)
class PoolGpus:
    """One pool as its nodes and all pods on them show it."""

    pool: KubernetesPool
    total: int
    per_node: int  # most that one node has; 0: not known
    available: int  # on nodes that take work, or held on those that do not
    of_others: int
    free: tuple[int, ...]  # per node that takes work, less what is bound there
    held: int  # by our jobs, those that wait for a node included
    unbound: tuple[int, ...]  # GPUs of each pod of ours that has no node yet
    to_come: int  # that nodes would bring with the demand

    def capacity(self) -> PoolCapacity:
        """Return what a cluster reports of it."""
        in_use = self.held + self.of_others
        return PoolCapacity(self.pool.name, self.total, self.available, in_use, self.of_others)


def cut(order: JobOrder, pool: PoolGpus) -> Parts:
    """Cut an order into equal parts that fit a node each, as few as can be.

    Where no node is known, one is taken to be large enough.
    """
    if order.gpus <= pool.per_node or pool.per_node == 0:
        return Parts(1, order.gpus)
    fewest = math.ceil(order.gpus / pool.per_node)
    n_pods = next(n for n in range(fewest, order.gpus + 1) if order.gpus % n == 0)
    return Parts(n_pods, order.gpus // n_pods)


def refuse_busy(order: JobOrder, pool: PoolGpus) -> None:
    """Raise ``GpusBusy`` where the parts of ``order`` find no nodes with free GPUs now."""
    parts = cut(order, pool)
    free = sorted(pool.free, reverse=True)
    for wanted in sorted(pool.unbound, reverse=True):
        _take(free, wanted)
    n_free = min(sum(free) + pool.to_come, pool.total - pool.held - pool.of_others)
    if order.gpus > n_free:
        raise GpusBusy(
            f"job {order.key}: {order.gpus} GPUs of pool {order.pool}, only {max(0, n_free)}"
            " are free"
        )
    n_placed = sum(_take(free, parts.gpus_each) for _ in range(parts.n_pods))
    if (parts.n_pods - n_placed) * parts.gpus_each > pool.to_come:
        raise GpusBusy(
            f"job {order.key}: {order.gpus} GPUs of pool {order.pool}, {n_free} are free, but not"
            f" {parts.gpus_each} each on {parts.n_pods} nodes"
        )


def _take(free: list[int], wanted: int) -> bool:
    """Take GPUs from the fullest node that has enough; False where none has."""
    fitting = [index for index, n in enumerate(free) if n >= wanted]
    if not fitting:
        return False
    free[min(fitting, key=lambda index: free[index])] -= wanted
    return True


def pool_gpus(
    pool: KubernetesPool,
    nodes: Iterable[NodeView],
    pods: Sequence[PodView],
    standings: Mapping[str, Standing],
) -> PoolGpus:
    """Count the GPUs of one pool."""
    resource = pool.resource
    members = [node for node in nodes if _is_of(pool, node)]
    held_on = dict.fromkeys((node.name for node in members), 0)
    ours = {pod.uid for standing in standings.values() for pod in standing.pods}
    of_others = 0
    for pod in pods:
        if pod.is_live and pod.node in held_on:
            held_on[pod.node] += pod.requests.get(resource, 0)
            if pod.uid not in ours:
                of_others += pod.requests.get(resource, 0)
    takes = [node for node in members if _takes_work(pool, node)]
    drained = [node for node in members if node not in takes]
    total = sum(node.capacity.get(resource, 0) for node in members)
    available = sum(node.allocatable.get(resource, 0) for node in takes)
    available += sum(held_on[node.name] for node in drained)
    limit = total if pool.gpus is None else pool.gpus
    to_come = max(0, limit - total) if pool.grows else 0
    mine = [one for one in standings.values() if one.last.order.pool == pool.name]
    return PoolGpus(
        pool=pool,
        total=limit,
        per_node=pool.gpus_per_node
        or max((node.capacity.get(resource, 0) for node in members), default=0),
        available=min(limit, available + to_come),
        of_others=max(0, of_others - max(0, total - limit)),  # they take what is not ours first
        free=tuple(
            max(0, node.allocatable.get(resource, 0) - held_on[node.name]) for node in takes
        ),
        held=sum(one.holds_gpus for one in mine),
        unbound=tuple(gpus for one in mine for gpus in _unbound(one, resource)),
        to_come=to_come,
    )


def _unbound(standing: Standing, resource: str) -> list[int]:
    """Return the GPUs of each pod that a job still needs a node for."""
    if not standing.holds_gpus:
        return []
    if not standing.pods:
        return [standing.holds_gpus]
    return [pod.requests.get(resource, 0) for pod in standing.pods if pod.node is None]


def _is_of(pool: KubernetesPool, node: NodeView) -> bool:
    is_selected = all(node.labels.get(name) == value for name, value in pool.node_selector.items())
    return is_selected and node.capacity.get(pool.resource, 0) > 0


def _takes_work(pool: KubernetesPool, node: NodeView) -> bool:
    return (
        node.is_ready
        and not node.is_cordoned
        and all(_is_borne(pool, taint) for taint in node.taints)
    )


def _is_borne(pool: KubernetesPool, taint: tuple[str, str, str]) -> bool:
    key, value, effect = taint
    return effect not in _EFFECTS_THAT_KEEP_OUT or any(
        one.key == key and one.value in {None, value} and one.effect in {None, effect}
        for one in pool.tolerations
    )


def gpus_there(pools: Sequence[PoolGpus]) -> GpusThere:
    """Return how many GPUs are there to draw power; those that would come are not."""
    at_least = sum(max(0, one.available - one.to_come) for one in pools)
    return GpusThere(at_least, sum(one.total for one in pools))


def power_kw(pools: Sequence[PoolGpus], jobs: Sequence[JobObservation]) -> float:
    """Return what all GPUs together are taken to draw [kW]; those of others draw all they may."""
    return sum(
        one.of_others * one.pool.kw_per_gpu
        + pool_power_kw(
            one.pool.name,
            one.total - one.of_others,
            one.pool.kw_per_gpu,
            one.pool.idle_kw_per_gpu,
            jobs,
        )
        for one in pools
    )
