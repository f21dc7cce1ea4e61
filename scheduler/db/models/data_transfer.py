"""Input data of jobs on its way to where they are to run: what was ordered, and what came of it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.db.models.base import Base
from scheduler.db.models.job import JobStatus
from scheduler.db.types import enum_by_value


class DataTransfer(Base):
    """The transfer of one job's data to one site, through all its retries.

    ``status`` is that of the order that moves it: waiting until its cluster says that it has it,
    suspended where the job is to run elsewhere meanwhile, failed also before a retry.
    """

    __tablename__ = "data_transfer"
    __table_args__ = (
        CheckConstraint("failures >= 0", name="failures_nonnegative"),
        Index("ix_data_transfer_status", "status"),
    )

    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id"), primary_key=True)
    site: Mapped[str] = mapped_column(primary_key=True)
    from_site: Mapped[str]
    size_gb: Mapped[float]
    link_gb_per_hour: Mapped[float]  # as the fleet had it when the transfer was ordered
    link_eur_per_gb: Mapped[float]
    ordered_at: Mapped[datetime]
    status: Mapped[JobStatus] = mapped_column(enum_by_value(JobStatus), default=JobStatus.WAITING)
    starts: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    times_forgotten: Mapped[int] = mapped_column(default=0)  # by its cluster; then begun anew
    seen_at: Mapped[datetime | None]  # since when it stands so
    started_at: Mapped[datetime | None]  # first
    moving_since: Mapped[datetime | None]  # in its present attempt; None: it does not move
    ended_at: Mapped[datetime | None]  # last
    exit_code: Mapped[int | None]
    reason: Mapped[str] = mapped_column(default="")
    hours: Mapped[float] = mapped_column(default=0.0)  # that it moved, in attempts that are over
    eur: Mapped[float | None]  # paid, once it is done

    @property
    def gb_per_hour(self) -> float | None:
        """Mean rate it came at while it moved, once it is done [GB/h]."""
        is_timed = self.status is JobStatus.SUCCEEDED and self.hours > 0.0
        return self.size_gb / self.hours if is_timed else None
