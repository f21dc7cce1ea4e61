"""Values that pass between the parts of dispatch. Frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from connectors.types import JobOrder
from scheduler.db.models import CommandKind, JobStatus
from scheduler.specs import JobSpec
from scheduler.specs.job import OperatingPointSpec


@dataclass(frozen=True, slots=True)
class JobSnapshot:
    """A job that is not over, as the database has it.

    ``work_left_hours`` is what is left now; ``is_ready`` says whether its predecessors succeeded.
    ``is_order_under_way``: its order was sent, by whomever, and may arrive yet. ``starts``: how
    often its command was started.
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

    @property
    def has_started(self) -> bool:
        """Whether any of it was done."""
        return self.starts > 0

    @property
    def key(self) -> str:
        """Its key on every cluster."""
        return str(self.id)


@dataclass(frozen=True, slots=True)
class Situation:
    """What decisions about all jobs share.

    ``free_gpus`` are those free now by site and pool, of the clusters that answered.
    """

    now: datetime
    sites: tuple[str, ...]
    free_gpus: Mapping[tuple[str, str], int]

    def is_free(self, site: str, point: OperatingPointSpec) -> bool:
        """Whether a job can take the GPUs of ``point`` at ``site`` now."""
        return self.free_gpus.get((site, point.pool), -1) >= point.gpus


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to tell a cluster about a job, or a battery.

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
