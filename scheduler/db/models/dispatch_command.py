"""Every command that was sent to a cluster or a battery, and what came of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.db.models.base import Base
from scheduler.db.types import enum_by_value


class CommandKind(StrEnum):
    """What was asked for."""

    SUBMIT = "submit"
    SUSPEND = "suspend"
    RESUME = "resume"
    CANCEL = "cancel"
    POWER_CAP = "power_cap"
    BATTERY_POWER = "battery_power"
    STAGE = "stage"  # bring the input data of a job to the site, or go on with it
    STAGE_PAUSE = "stage_pause"  # not now: the job is to run elsewhere
    STAGE_CANCEL = "stage_cancel"


class CommandOutcome(StrEnum):
    """What came of it. ``PENDING`` after a crash means: unknown, and will be compared again."""

    PENDING = "pending"
    DONE = "done"
    RETRY = "retry"  # no answer: it may have arrived
    BUSY = "busy"  # the GPUs were not free
    REFUSED = "refused"


class DispatchCommand(Base):
    """One command."""

    __tablename__ = "dispatch_command"
    __table_args__ = (Index("ix_dispatch_command_recent", "decided_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    plan_id: Mapped[UUID | None] = mapped_column(ForeignKey("plan.id"))
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("job.id"), index=True)
    site: Mapped[str]
    kind: Mapped[CommandKind] = mapped_column(enum_by_value(CommandKind))
    detail: Mapped[dict[str, Any]]
    decided_at: Mapped[datetime]
    outcome: Mapped[CommandOutcome] = mapped_column(
        enum_by_value(CommandOutcome), default=CommandOutcome.PENDING
    )
    finished_at: Mapped[datetime | None]
    error: Mapped[str | None]
