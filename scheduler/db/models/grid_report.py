"""Reports that the grid side asked for, and what became of each."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.db.models.base import Base


class GridReport(Base):
    """One report: of which sites and time, what was told, and what was not and why."""

    __tablename__ = "grid_report"
    __table_args__ = (
        UniqueConstraint("asked_by", "name"),
        Index("ix_grid_report_due_at", "due_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    asked_by: Mapped[str]
    name: Mapped[str]
    event: Mapped[str]  # in the words of who asks
    sites: Mapped[list[str]]
    start_at: Mapped[datetime]
    end_at: Mapped[datetime]
    due_at: Mapped[datetime]
    told: Mapped[list[str]]  # in the words of who asks
    not_told: Mapped[list[str]]  # each with the reason
    sent_at: Mapped[datetime | None]  # None: it never will be
    problem: Mapped[str]  # why it was not sent
    recorded_at: Mapped[datetime]
