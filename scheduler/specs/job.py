"""A job as an ML engineer writes it: work, window, what it may do, and the command to run."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from connectors.types import SuspendBy
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


class PausingSpec(Spec):
    """What a pause costs; absent: the job runs in one piece."""

    min_run_minutes: Minutes = 0.0
    restart_minutes: Minutes = 0.0
    restart_kwh: NonNegative = 0.0
    restart_eur: NonNegative = 0.0
    max_pauses: Annotated[int, Field(ge=0, le=MOST)] | None = None


class DataSpec(Spec):
    """Where the input lies and how much it is."""

    site: Name
    size_gb: NonNegative


Argument = Annotated[Text, Field(max_length=100_000)]  # Linux: 128 KiB each
VariableName = Annotated[Text, Field(min_length=1, max_length=1000, pattern=r"^[^=]+$")]


class JobSpec(Spec):
    """One deferrable job."""

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
    is_elastic: bool = False
    data: DataSpec | None = None
    after: Annotated[tuple[Name, ...], Field(max_length=1000)] = ()
    command: Annotated[tuple[Argument, ...], Field(max_length=10_000)] = ()  # empty: planned only
    image: Image | None = None  # for Kubernetes
    environment: Annotated[dict[VariableName, Argument], Field(max_length=1000)] = Field(
        default_factory=dict
    )
    suspend_by: SuspendBy = SuspendBy.CHECKPOINT
    checkpoint_grace_s: Annotated[float, Field(ge=0, le=24 * 3600)] = 30.0
    retries: Annotated[int, Field(ge=0, le=100)] = 0  # after a crash, until its deadline

    @property
    def keeps_checkpoints(self) -> bool:
        """Whether it goes on after it has ended, and not only after it was held in memory."""
        return self.pausing is not None and self.suspend_by is SuspendBy.CHECKPOINT

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
        return self

    @model_validator(mode="after")
    def _can_be_started(self) -> Self:
        if self.command and not self.command[0].strip():
            raise ValueError(f"job {self.name}: command[0] = {self.command[0]!r}, names no program")
        variables = (name + value for name, value in self.environment.items())
        length = sum(map(len, (*self.command, *variables)))
        if length > LONGEST_COMMAND:
            raise ValueError(
                f"job {self.name}: command and environment have {length} characters,"
                f" must be <= {LONGEST_COMMAND}"
            )
        return self
