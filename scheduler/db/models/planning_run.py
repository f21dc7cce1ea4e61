"""Requests to make a plan: queued by people and by the clock, claimed by a worker."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.db.models.base import Base
from scheduler.db.types import enum_by_value


class RunStatus(StrEnum):
    """Where a planning run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class PlanningRun(Base):
    """One request to plan one window of the whole fleet."""

    __tablename__ = "planning_run"
    __table_args__ = (
        # The guard against double firing: a second replica's insert is a no-op. For example
        # "daily/europe/2021-07-05", "rolling/2021-07-05T12:00Z", "manual/<uuid>".
        UniqueConstraint("trigger_key"),
        CheckConstraint("attempts >= 0", name="attempts_nonnegative"),
        Index("ix_planning_run_queue", "status", "queued_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    trigger_key: Mapped[str]
    requested_by: Mapped[str]
    window_start: Mapped[datetime | None]  # None: the next slot after it is claimed
    hours: Mapped[int]
    time_limit_s: Mapped[float]
    asked: Mapped[dict[str, Any] | None]  # by a person: what was sent; None: by the clock
    reason: Mapped[str] = mapped_column(default="")  # what has happened; empty: its time has come
    status: Mapped[RunStatus] = mapped_column(enum_by_value(RunStatus), default=RunStatus.QUEUED)
    queued_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str | None]
    lease_expires_at: Mapped[datetime | None]  # a dead worker's run is taken again
    progress: Mapped[dict[str, Any] | None]  # {"phase", "bound", "best", "gap", "seconds"}
    plan_id: Mapped[UUID | None]
    error: Mapped[str | None]
