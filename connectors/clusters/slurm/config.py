"""What has to be known of a Slurm cluster to run jobs on it. Frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SlurmPool:
    """GPUs of one model: a partition, and what of it.

    Attributes
    ----------
    gres_type
        As in ``gres.conf`` (``a100``); ``None`` takes every GPU of the partition for the same.
    features
        Node features that are all asked for; only nodes with all of them count.
    memory_mb_per_gpu, cpus_per_gpu
        Asked for with each GPU; ``None`` leaves it to the defaults of the partition.
    partition_without_gpus
        Where orders for no GPU run, without features, quality of service and reservation of the
        pool; ``None`` is its own partition.
    kw_per_gpu, idle_kw_per_gpu
        What a GPU draws at work without a cap, and without work; for power that is modelled.
    """

    name: str
    partition: str
    gres_type: str | None = None
    features: tuple[str, ...] = ()
    account: str | None = None
    qos: str | None = None
    reservation: str | None = None
    cpus_per_gpu: int | None = None
    memory_mb_per_gpu: int | None = None
    partition_without_gpus: str | None = None
    kw_per_gpu: float = 0.7
    idle_kw_per_gpu: float = 0.0

    def serving(self, gpus: int) -> SlurmPool:
        """Return what an order for so many GPUs asks for."""
        if gpus > 0 or self.partition_without_gpus is None:
            return self
        elsewhere = replace(self, partition=self.partition_without_gpus)
        return replace(elsewhere, features=(), qos=None, reservation=None)


@dataclass(frozen=True, slots=True)
class SlurmConfig:
    """One cluster.

    Attributes
    ----------
    folder
        On a file system that the nodes and this machine see under the same path.
    accounts
        Slurm account by tenant; a tenant that is not in it gets that of the pool.
    time_limit_minutes
        Asked for with every job; ``None`` leaves it to the partition.
    settle_s
        How long a record of a node may take to be seen here after Slurm said the job is over [s].
    lost_after_s
        How long a run shows no sign of life before it counts as lost [s], at least 4. A node that
        cannot give one for three quarters of it ends what it runs.
    """

    folder: Path
    pools: tuple[SlurmPool, ...]
    accounts: Mapping[str, str] = field(default_factory=dict)
    time_limit_minutes: int | None = None
    settle_s: float = 90.0  # NFS shows a new name after a minute at the latest
    lost_after_s: float = 120.0

    def pool(self, name: str) -> SlurmPool:
        """Return the pool of this name, which is there."""
        return next(pool for pool in self.pools if pool.name == name)
