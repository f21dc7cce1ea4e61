"""When jobs really ran, and at which operating point, as dispatch saw it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.db.models.base import Base


class JobRun(Base):
    """A stretch of time in which one job ran at one site and point; only its end is written later.

    It ends with a pause, with the job, and where its power cap changes, which begins another.
    """

    __tablename__ = "job_run"
    __table_args__ = (
        CheckConstraint("ended_at >= began_at", name="ends_after_begin"),
        Index("ix_job_run_ended", "site", "ended_at"),
    )

    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id"), primary_key=True)
    began_at: Mapped[datetime] = mapped_column(primary_key=True)
    start: Mapped[int]  # which of its starts, from 1
    site: Mapped[str]
    point: Mapped[str | None]  # None: nobody told it one
    ended_at: Mapped[datetime | None]  # None: it goes on
