"""All that is seen of a Slurm cluster at one instant: the jobs by folder and row, and the nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from connectors.clusters.slurm.care import owner
from connectors.clusters.slurm.config import SlurmPool
from connectors.clusters.slurm.folder import Records
from connectors.clusters.slurm.gpus import gpus_of
from connectors.clusters.slurm.standing import holds_gpus, state_of
from connectors.clusters.slurm.transport import SlurmJob, SlurmNode, SlurmTransport
from connectors.types import JobState, PoolCapacity

_LOOKS = 3

Rows = Mapping[str, Sequence[SlurmJob]]
"""Slurm's jobs by the key they are for."""


@dataclass(frozen=True, slots=True)
class Known:
    """A job by its folder, and its Slurm job."""

    records: Records
    row: SlurmJob | None

    @property
    def gpus_held(self) -> int:
        """GPUs given to it now, whether or not it began."""
        has_got = self.row is not None and self.row.has_gpus
        is_held = has_got or (holds_gpus(self.records, self.row) and not self._waited)
        return self.records.order.gpus if is_held else 0

    @property
    def gpus_awaited(self) -> int:
        """GPUs it is queued for; once Slurm gave them, the nodes say so."""
        has_got = self.row is not None and self.row.has_gpus
        is_queued = state_of(self.records, self.row) is JobState.QUEUED
        has_begun_since = self._waited and holds_gpus(self.records, self.row)
        return self.records.order.gpus if (is_queued or has_begun_since) and not has_got else 0

    @property
    def _waited(self) -> bool:
        """Whether it had no GPUs when the nodes were asked; its folder is read after that."""
        return self.row is not None and not self.row.is_over and not self.row.has_gpus


def rows_by_key(jobs: Iterable[SlurmJob], memory: str) -> dict[str, list[SlurmJob]]:
    """Sort out our own by their keys."""
    found: dict[str, list[SlurmJob]] = {}
    for job in jobs:
        if job.ref is not None and job.ref.memory == memory:
            found.setdefault(job.ref.key, []).append(job)
    return found


def known(records: Iterable[Records], rows: Rows) -> list[Known]:
    """Put folders and rows together."""
    return [Known(one, owner(one, rows.get(one.order.key, ()))) for one in records]


async def look(
    transport: SlurmTransport, memory: str
) -> tuple[dict[str, list[SlurmJob]], tuple[SlurmNode, ...]]:
    """Return jobs and nodes of one instant: none of ours was given GPUs between the two."""
    rows = rows_by_key(await transport.jobs(), memory)
    nodes = await transport.nodes()
    for _ in range(_LOOKS):
        waiting = _waiting(rows)
        if not waiting:
            break
        rows = rows_by_key(await transport.jobs(), memory)
        if _waiting(rows) == waiting:
            break
        nodes = await transport.nodes()
    return rows, nodes


def gpus_awaited(pool: SlurmPool, jobs: Iterable[Known]) -> int:
    """Return how many GPUs of ``pool`` are queued for."""
    return sum(job.gpus_awaited for job in jobs if job.records.order.pool == pool.name)


def capacity_of(pool: SlurmPool, nodes: Sequence[SlurmNode], jobs: Sequence[Known]) -> PoolCapacity:
    """Return what ``pool`` has, and who has it."""
    gpus = gpus_of(pool, nodes)
    of_pool = [job for job in jobs if job.records.order.pool == pool.name]
    used = sum(one.used for one in gpus)
    held = sum(job.gpus_held for job in of_pool)
    return PoolCapacity(
        pool=pool.name,
        gpus_total=sum(one.total for one in gpus),
        gpus_available=sum(one.offered for one in gpus),
        gpus_in_use=used + gpus_awaited(pool, jobs),
        gpus_of_others=max(0, used - held),
    )


def _waiting(rows: Rows) -> frozenset[int]:
    return frozenset(
        row.id for some in rows.values() for row in some if not row.is_over and not row.has_gpus
    )
