"""Jobs as submitted, and where each stands."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.db.models.base import Base
from scheduler.db.types import enum_by_value


class JobStatus(StrEnum):
    """Where a job stands, as last observed on its cluster."""

    WAITING = "waiting"  # not yet handed to a cluster
    QUEUED = "queued"  # handed to a cluster, which gave it no GPUs yet
    RUNNING = "running"
    SUSPENDED = "suspended"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"  # its deadline passed before it was started

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self not in OPEN_STATUSES


OPEN_STATUSES = (JobStatus.WAITING, JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.SUSPENDED)
"""Those of a job that is not over."""


class Job(Base):
    """One job. Its spec never changes; its standing does."""

    __tablename__ = "job"
    __table_args__ = (
        UniqueConstraint("name"),
        # The same request sent twice is one job.
        UniqueConstraint("submitted_by", "idempotency_key"),
        CheckConstraint("work_done_hours >= 0", name="work_done_nonnegative"),
        Index("ix_job_submitted", "submitted_at", "id"),
        Index("ix_job_status", "status", "submitted_at"),
        Index("ix_job_array", "array_name", "submitted_at"),
        Index("ix_job_ended", "ended_at"),
        Index("ix_job_tenant", "tenant", "submitted_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str]
    tenant: Mapped[str]
    array_name: Mapped[str | None]  # of which it is a task
    spec: Mapped[dict[str, Any]]  # a JobSpec
    submitted_by: Mapped[str]
    submitted_at: Mapped[datetime]
    idempotency_key: Mapped[str | None]
    release_at: Mapped[datetime]
    deadline_at: Mapped[datetime]
    status: Mapped[JobStatus] = mapped_column(enum_by_value(JobStatus), default=JobStatus.WAITING)
    cancel_requested_at: Mapped[datetime | None]
    site: Mapped[str | None]  # where it was handed to a cluster; it stays there
    point: Mapped[str | None]  # operating point it was last told to run at
    starts: Mapped[int] = mapped_column(default=0)
    crashes: Mapped[int] = mapped_column(default=0)  # after which it goes on
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    exit_code: Mapped[int | None]
    reason: Mapped[str] = mapped_column(default="")
    power_cap_in_force_w: Mapped[float | None]  # read back from its GPUs; None: nobody says
    power_cap_problem: Mapped[str] = mapped_column(default="")  # why its cap is not in force
    work_done_hours: Mapped[float] = mapped_column(default=0.0)  # up to work_seen_at
    work_seen_at: Mapped[datetime | None]
    work_saved_hours: Mapped[float] = mapped_column(default=0.0)  # done at its last good pause
    failed_checkpoints: Mapped[int] = mapped_column(default=0)
    checkpoint_problem: Mapped[str] = mapped_column(default="")  # of the last one that failed
