"""Values that pass between the parts of dispatch. Frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from connectors.types import JobOrder
from scheduler.db.models import CommandKind, JobStatus
from scheduler.specs import JobSpec
from scheduler.specs.fleet import LinkSpec
from scheduler.specs.job import OperatingPointSpec

# Without a plan a job starts this long before its latest safe start, so that no tick misses it.
SAFETY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class TransferSnapshot:
    """The transfer of a job's data to one site, as last seen; it stands so since ``seen_at``.

    ``is_known``: its cluster knows its order, as far as anybody can tell.
    """

    status: JobStatus
    is_known: bool
    starts: int
    failures: int
    seen_at: datetime
    reason: str

    def is_given_up(self, retries: int) -> bool:
        """Whether it is not tried again: failed too often, refused, or cancelled by somebody."""
        if self.status is JobStatus.FAILED:
            return self.failures > retries or self.starts == 0
        return self.status is JobStatus.CANCELLED


@dataclass(frozen=True, slots=True)
class JobSnapshot:
    """A job that is not over, as the database has it.

    ``work_left_hours`` is what is left now; ``is_ready`` says whether its predecessors succeeded.
    ``is_order_under_way``: its order was sent, by whomever, and may arrive yet. ``starts``: how
    often its command was started, ``crashes`` how often it crashed and went on. ``transfers`` are
    those of its data, by site.
    """

    id: UUID
    spec: JobSpec
    status: JobStatus
    site: str | None
    point: str | None
    is_cancel_requested: bool
    is_ready: bool
    work_left_hours: float
    is_order_under_way: bool = False
    starts: int = 0
    crashes: int = 0
    failed_checkpoints: int = 0
    transfers: Mapping[str, TransferSnapshot] = field(default_factory=dict)

    @property
    def has_started(self) -> bool:
        """Whether any of it was done."""
        return self.starts > 0

    @property
    def may_be_paused(self) -> bool:
        """Whether it can be paused, and not too many of its checkpoints failed."""
        return self.spec.may_be_paused(self.failed_checkpoints)

    @property
    def key(self) -> str:
        """Its key on every cluster."""
        return str(self.id)

    def needs_data_moved_to(self, site: str) -> bool:
        """Whether it runs at ``site`` only on data that its transfer has brought there."""
        data = self.spec.data
        return data is not None and bool(data.command) and data.site != site

    def has_data_at(self, site: str) -> bool:
        """Whether it can be started at ``site``, as far as its data goes."""
        transfer = self.transfers.get(site)
        is_there = transfer is not None and transfer.status is JobStatus.SUCCEEDED
        return is_there or not self.needs_data_moved_to(site)


def restart_of(spec: JobSpec) -> timedelta:
    """Time after a restart in which nothing is done."""
    return timedelta(minutes=0.0 if spec.pausing is None else spec.pausing.restart_minutes)


def latest_safe_start(job: JobSnapshot) -> datetime:
    """Last instant at which the rest of a job can begin and still make its deadline."""
    fastest = max(point.speed for point in job.spec.operating_points)
    return job.spec.deadline_at - timedelta(hours=job.work_left_hours / fastest)


@dataclass(frozen=True, slots=True)
class Situation:
    """What decisions about all jobs share.

    ``free_gpus`` are those free now by site and pool, of the clusters that answered. ``links`` are
    those of the fleet, by (from, to).
    """

    now: datetime
    sites: tuple[str, ...]
    free_gpus: Mapping[tuple[str, str], int]
    links: Mapping[tuple[str, str], LinkSpec] = field(default_factory=dict)

    @property
    def answering(self) -> frozenset[str]:
        """Sites whose clusters answered."""
        return frozenset(site for site, _ in self.free_gpus)

    def is_free(self, site: str, point: OperatingPointSpec) -> bool:
        """Whether a job can take the GPUs of ``point`` at ``site`` now."""
        return self.free_gpus.get((site, point.pool), -1) >= point.gpus


TRANSFER_KINDS = frozenset({CommandKind.STAGE, CommandKind.STAGE_PAUSE, CommandKind.STAGE_CANCEL})
"""Commands about the transfer of a job's data, not about the job."""


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to tell a cluster about a job, the transfer of its data, or a battery.

    ``gpus_to_take``: GPUs of which pool are free no more once it is done.
    """

    kind: CommandKind
    site: str
    job_id: UUID | None = None
    point: str | None = None
    order: JobOrder | None = None
    power_cap_w: float | None = None
    gpus_to_take: tuple[str, int] | None = None
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ending:
    """A job that is over without a cluster having ended it."""

    status: JobStatus
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about one job; empty where all is as it should be."""

    commands: tuple[Command, ...] = ()
    ending: Ending | None = None


NOTHING = Decision()
