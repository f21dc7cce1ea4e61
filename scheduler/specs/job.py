"""A job as an ML engineer writes it: work, window, what it may do, and the command to run."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from connectors.types import SuspendBy
from scheduler.specs.array import ArrayTaskSpec
from scheduler.specs.base import (
    MOST,
    YEAR_HOURS,
    Instant,
    Minutes,
    Name,
    NonNegative,
    Spec,
    Text,
    require_unique,
)
from scheduler.specs.clusters import Image

MOST_PREDECESSORS = 1000
LONGEST_COMMAND = 1_000_000  # characters of command and environment; Linux takes 2 MiB


class Priority(StrEnum):
    """How much a job's value and lateness count."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"

    @property
    def weight(self) -> float:
        """Multiplier of value and lateness in the objective."""
        return {"low": 0.25, "normal": 1.0, "high": 4.0, "urgent": 16.0}[self.value]


class OperatingPointSpec(Spec):
    """One way to run: so many GPUs of the pools of this name, at this cap or batch size.

    ``speed`` is work hours per hour: 1 runs the job's ``work_hours`` in that time.
    """

    pool: Name
    gpus: Annotated[int, Field(ge=0, le=1_000_000)]
    kw: NonNegative
    speed: Annotated[float, Field(ge=0.001, le=1000)] = 1.0
    power_cap_w: Annotated[float, Field(gt=0, le=1e6)] | None = None
    batch_size: Annotated[int, Field(ge=1, le=MOST)] | None = None

    @property
    def name(self) -> str:
        """Name of the point within its job, built from what tells it apart."""
        cap = "" if self.power_cap_w is None else f"@{self.power_cap_w:g}W"
        batch = "" if self.batch_size is None else f"/b{self.batch_size}"
        return f"{self.pool}x{self.gpus}{cap}{batch}"

    @property
    def setup(self) -> tuple[str, int, int | None]:
        """Pool, GPUs and batch size: what a process that runs cannot change."""
        return self.pool, self.gpus, self.batch_size


ExitCode = Annotated[int, Field(ge=0, le=255)]


class PausingSpec(Spec):
    """What a pause costs; absent: the job runs in one piece.

    ``saved_exit_codes`` are those a job leaves with that has saved when it was told to pause (143:
    it left the signal to end it). Another code, or SIGKILL at the end of its grace, is a checkpoint
    that failed, as is one whose continuation crashes at once; after ``max_failed_checkpoints`` of
    them the job is not paused any more.
    """

    min_run_minutes: Minutes = 0.0
    restart_minutes: Minutes = 0.0
    restart_kwh: NonNegative = 0.0
    restart_eur: NonNegative = 0.0
    max_pauses: Annotated[int, Field(ge=0, le=MOST)] | None = None
    saved_exit_codes: Annotated[tuple[ExitCode, ...], Field(min_length=1, max_length=256)] = (
        0,
        143,
    )
    max_failed_checkpoints: Annotated[int, Field(ge=1, le=MOST)] = 2


Argument = Annotated[Text, Field(max_length=100_000)]  # Linux: 128 KiB each
VariableName = Annotated[Text, Field(min_length=1, max_length=1000, pattern=r"^[^=]+$")]
Command = Annotated[tuple[Argument, ...], Field(max_length=10_000)]
Environment = Annotated[dict[VariableName, Argument], Field(max_length=1000)]
Retries = Annotated[int, Field(ge=0, le=100)]


class DataSpec(Spec):
    """Where the input lies, how much it is, and what brings it to another site.

    ``command`` runs at the site the job is planned at, before the job is started, in ``image`` or
    else the job's. It is run again after a failure, so it must be one that goes on: rsync, rclone,
    the sync of an object store. Without it a transfer is planned for, and left to the job.
    ``path`` is where the input lies at its own site, as a job there sees it.
    """

    site: Name
    size_gb: NonNegative
    path: Argument | None = None
    command: Command = ()
    image: Image | None = None
    environment: Environment = Field(default_factory=dict)
    retries: Retries = 3

    @model_validator(mode="after")
    def _can_be_started(self) -> Self:
        for name in ("image", "environment", "retries"):
            if not self.command and name in self.model_fields_set and getattr(self, name):
                raise ValueError(f"data: {name} is given, command must be given as well")
        _require_startable("data", self.command, self.environment)
        return self


def _require_startable(
    owner: str, command: tuple[str, ...], environment: Mapping[str, str]
) -> None:
    """Refuse what no machine could start, where there is a command."""
    if command and not command[0].strip():
        raise ValueError(f"{owner}: command[0] = {command[0]!r}, names no program")
    length = sum(map(len, (*command, *environment, *environment.values())))
    if length > LONGEST_COMMAND:
        raise ValueError(
            f"{owner}: command and environment have {length} characters,"
            f" must be <= {LONGEST_COMMAND}"
        )


class JobSpec(Spec):
    """One deferrable job.

    ``sheds_within_s``: how soon its load is off when a reserve is called, by a pause where it may
    be paused, else by the lowest cap of its points; absent: no reserve counts on it.
    """

    name: Name
    tenant: Name = "default"
    project: Name | None = None
    priority: Priority = Priority.NORMAL
    work_hours: Annotated[float, Field(gt=0, le=YEAR_HOURS)]
    operating_points: Annotated[tuple[OperatingPointSpec, ...], Field(min_length=1, max_length=100)]
    release_at: Instant
    deadline_at: Instant
    due_at: Instant | None = None
    lateness_eur_per_hour: NonNegative = 0.0
    value_eur: NonNegative | None = None  # None: by GPU-hours, see PlanningSpec
    sites: Annotated[tuple[Name, ...], Field(max_length=1000)] | None = None  # None: all that fit
    pausing: PausingSpec | None = None
    sheds_within_s: Annotated[float, Field(ge=0, le=86_400)] | None = None
    is_elastic: bool = False
    data: DataSpec | None = None
    after: Annotated[tuple[Name, ...], Field(max_length=MOST_PREDECESSORS)] = ()
    command: Command = ()  # empty: planned only
    image: Image | None = None  # for Kubernetes
    environment: Environment = Field(default_factory=dict)
    suspend_by: SuspendBy = SuspendBy.CHECKPOINT
    checkpoint_grace_s: Annotated[float, Field(ge=0, le=24 * 3600)] = 30.0
    retries: Retries = 0  # after a crash, until its deadline
    # Left out where it is false: jobs of before there was this are the same jobs.
    hours_are_exact: Annotated[bool, Field(exclude_if=lambda exact: not exact)] = False
    # Left out where there is none: jobs of before there were arrays are the same jobs.
    array_task: Annotated[ArrayTaskSpec | None, Field(exclude_if=lambda task: task is None)] = None

    @property
    def keeps_checkpoints(self) -> bool:
        """Whether it goes on after it has ended, and not only after it was held in memory."""
        return self.pausing is not None and self.suspend_by is SuspendBy.CHECKPOINT

    def may_be_paused(self, failed_checkpoints: int) -> bool:
        """Whether it may be paused that so many checkpoints failed of."""
        if self.pausing is None or self.suspend_by is SuspendBy.FREEZE:
            return self.pausing is not None
        return failed_checkpoints < self.pausing.max_failed_checkpoints

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.deadline_at <= self.release_at:
            raise ValueError(
                f"job {self.name}: deadline_at = {self.deadline_at.isoformat()},"
                f" must be after release_at = {self.release_at.isoformat()}"
            )
        points = (point.name for point in self.operating_points)
        require_unique(f"job {self.name}", "operating point", points)
        if self.due_at is not None and not self.release_at < self.due_at <= self.deadline_at:
            raise ValueError(
                f"job {self.name}: due_at = {self.due_at.isoformat()},"
                " must be after release_at and no later than deadline_at"
            )
        if self.name in self.after:
            raise ValueError(f"job {self.name}: after names the job itself")
        if self.array_task is not None and self.name != self.array_task.job_name:
            raise ValueError(
                f"job {self.name}: is task {self.array_task.index} of array"
                f" {self.array_task.array}, must be called {self.array_task.job_name}"
            )
        return self

    @model_validator(mode="after")
    def _can_be_started(self) -> Self:
        _require_startable(f"job {self.name}", self.command, self.environment)
        return self
