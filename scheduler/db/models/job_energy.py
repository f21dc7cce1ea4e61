"""Energy that starts of jobs used, where somebody keeps account of it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from connectors.types import PowerScope
from scheduler.db.models.base import Base
from scheduler.db.types import enum_by_value


class JobEnergy(Base):
    """What is settled of one start of a job. Never updated."""

    __tablename__ = "job_energy"
    __table_args__ = (CheckConstraint("kwh >= 0", name="kwh_nonnegative"),)

    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id"), primary_key=True)
    start: Mapped[int] = mapped_column(primary_key=True)  # which of its starts, from 1
    site: Mapped[str]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]  # None: not on record
    kwh: Mapped[float | None]  # None: never to be known, for this reason
    source: Mapped[str]  # who keeps account
    scope: Mapped[PowerScope] = mapped_column(enum_by_value(PowerScope))
    reason: Mapped[str]
    recorded_at: Mapped[datetime]
