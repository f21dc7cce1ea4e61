"""What a Kubernetes cluster is to Gridtide: where it is, its pools, what its pods look like."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Toleration:
    """A taint that pods of a pool bear; ``value`` None bears every value of ``key``."""

    key: str
    value: str | None = None
    effect: str | None = None  # NoSchedule, NoExecute; None: every effect


@dataclass(frozen=True, slots=True)
class KubernetesPool:
    """GPUs of one model: what the nodes that match ``node_selector`` have of ``resource``.

    A GPU at work is taken to draw its power cap, at most ``kw_per_gpu``; one that is free draws
    ``idle_kw_per_gpu``.

    Parameters
    ----------
    gpus
        At most so many of them are ours to plan with; None counts what the nodes have now. What
        others hold beyond that is theirs.
    grows
        Whether nodes come with the demand: GPUs that are not there yet, up to ``gpus``, then count
        as available, and an order for them is queued.
    gpus_per_node
        How an order for several nodes is cut; None takes the largest node there is now.
    image
        Container for orders that name none.
    """

    name: str
    resource: str = "nvidia.com/gpu"
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    gpus: int | None = None
    grows: bool = False
    gpus_per_node: int | None = None
    priority_class: str | None = None
    runtime_class: str | None = None
    image: str | None = None
    kw_per_gpu: float = 0.7
    idle_kw_per_gpu: float = 0.0

    def __post_init__(self) -> None:
        if self.gpus is not None and self.gpus < 0:
            raise ValueError(f"pool {self.name}: gpus = {self.gpus}, must be >= 0")
        if self.grows and self.gpus is None:
            raise ValueError(f"pool {self.name}: gpus must be given where it grows")
        if self.gpus_per_node is not None and self.gpus_per_node < 1:
            raise ValueError(
                f"pool {self.name}: gpus_per_node = {self.gpus_per_node}, must be >= 1"
            )
        if not 0 <= self.idle_kw_per_gpu <= self.kw_per_gpu < math.inf:
            raise ValueError(
                f"pool {self.name}: idle_kw_per_gpu = {self.idle_kw_per_gpu},"
                f" must be within [0, kw_per_gpu = {self.kw_per_gpu}]"
            )


@dataclass(frozen=True, slots=True)
class CheckpointVolume:
    """Where jobs keep their checkpoints: exactly one of the two. Each job has a folder there.

    A claim must be shared by all nodes of the pools (ReadWriteMany), as a host path must be: a job
    may go on elsewhere.
    """

    claim: str | None = None
    host_path: str | None = None

    def __post_init__(self) -> None:
        if (self.claim is None) == (self.host_path is None):
            raise ValueError(
                f"checkpoints: claim = {self.claim!r} and host_path = {self.host_path!r},"
                " exactly one must be given"
            )


@dataclass(frozen=True, slots=True)
class KubernetesConfig:
    """One cluster, one namespace.

    Parameters
    ----------
    pools
        No node may match two of them that name the same resource.
    checkpoints
        None gives every run an empty folder that ends with it: for jobs that keep theirs elsewhere.
    kubeconfig, context
        Both None: the account of the pod this runs in, else ``KUBECONFIG``, else the file of the
        user. ``context`` None is the file's current one.
    namespace
        None is the one of the context.
    counts_others
        Whether pods of all namespaces are watched, which a cluster must allow. Where it does not,
        GPUs that others hold count as free.
    queue, queues
        Kueue's LocalQueue for jobs, and for those of particular tenants. None: without Kueue.
    kueue_api
        Version of Kueue's API that the cluster serves.
    headless_service
        Service without an address that selects our pods, so that the parts of a job on several
        nodes find each other by name.
    keep_finished_hours
        Jobs that ended longer ago are forgotten; None keeps them for good.
    """

    pools: tuple[KubernetesPool, ...]
    checkpoints: CheckpointVolume | None = None
    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None
    counts_others: bool = True
    queue: str | None = None
    queues: Mapping[str, str] = field(default_factory=dict)
    kueue_api: str = "v1beta2"
    headless_service: str | None = None
    service_account: str | None = None
    image_pull_secrets: tuple[str, ...] = ()
    keep_finished_hours: float | None = 24.0 * 14
    call_timeout_s: float = 15.0

    def __post_init__(self) -> None:
        names = [pool.name for pool in self.pools]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"pools {twice} occur twice")
        if not 0 < self.call_timeout_s < math.inf:
            raise ValueError(f"call_timeout_s = {self.call_timeout_s}, must be > 0 and finite")

    @property
    def uses_kueue(self) -> bool:
        """Whether any job may be queued by Kueue."""
        return self.queue is not None or bool(self.queues)

    def pool(self, name: str) -> KubernetesPool | None:
        """Return the pool of this name."""
        return next((pool for pool in self.pools if pool.name == name), None)

    def queue_of(self, tenant: str) -> str | None:
        """Return the LocalQueue for jobs of ``tenant``."""
        return self.queues.get(tenant, self.queue)
