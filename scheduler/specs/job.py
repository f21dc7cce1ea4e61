"""A job as an ML engineer writes it: work, window, what it may do, and the command to run."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from connectors.types import SuspendBy
from scheduler.specs.base import Instant, Name, NonNegative, Positive, Spec


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
    gpus: Annotated[int, Field(ge=0)]
    kw: NonNegative
    speed: Positive = 1.0
    power_cap_w: Positive | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None

    @property
    def name(self) -> str:
        """Name of the point within its job, built from what tells it apart."""
        cap = "" if self.power_cap_w is None else f"@{self.power_cap_w:g}W"
        batch = "" if self.batch_size is None else f"/b{self.batch_size}"
        return f"{self.pool}x{self.gpus}{cap}{batch}"


class PausingSpec(Spec):
    """What a pause costs; absent: the job runs in one piece."""

    min_run_minutes: NonNegative = 0.0
    restart_minutes: NonNegative = 0.0
    restart_kwh: NonNegative = 0.0
    restart_eur: NonNegative = 0.0
    max_pauses: Annotated[int, Field(ge=0)] | None = None


class DataSpec(Spec):
    """Where the input lies and how much it is."""

    site: Name
    size_gb: NonNegative


class JobSpec(Spec):
    """One deferrable job."""

    name: Name
    tenant: Name = "default"
    project: Name | None = None
    priority: Priority = Priority.NORMAL
    work_hours: Positive
    operating_points: Annotated[tuple[OperatingPointSpec, ...], Field(min_length=1)]
    release_at: Instant
    deadline_at: Instant
    due_at: Instant | None = None
    lateness_eur_per_hour: NonNegative = 0.0
    value_eur: NonNegative | None = None  # None: by GPU-hours, see PlanningSpec
    sites: tuple[Name, ...] | None = None  # None: every site with a fitting pool
    pausing: PausingSpec | None = None
    is_elastic: bool = False
    data: DataSpec | None = None
    after: tuple[Name, ...] = ()
    command: tuple[str, ...] = ()
    environment: dict[str, str] = Field(default_factory=dict)
    suspend_by: SuspendBy = SuspendBy.CHECKPOINT
    checkpoint_grace_s: NonNegative = 30.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.deadline_at <= self.release_at:
            raise ValueError(
                f"job {self.name}: deadline_at = {self.deadline_at.isoformat()},"
                f" must be after release_at = {self.release_at.isoformat()}"
            )
        names = [point.name for point in self.operating_points]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"job {self.name}: operating point {doubled[0]!r} occurs twice")
        if self.due_at is not None and not self.release_at < self.due_at <= self.deadline_at:
            raise ValueError(
                f"job {self.name}: due_at = {self.due_at.isoformat()},"
                " must be after release_at and no later than deadline_at"
            )
        if self.name in self.after:
            raise ValueError(f"job {self.name}: after names the job itself")
        return self
