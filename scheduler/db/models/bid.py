"""Possible calls that were priced, and whether they were accepted."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.db.models.base import Base


class Bid(Base):
    """A call that might come, priced against one plan; only accepting it changes it."""

    __tablename__ = "bid"
    __table_args__ = (CheckConstraint("end_at > start_at", name="ends_after_start"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    plan_id: Mapped[UUID]  # it was priced against
    site: Mapped[str]
    start_at: Mapped[datetime]
    end_at: Mapped[datetime]
    limit_kw: Mapped[float]
    payment_eur_per_kwh: Mapped[float]
    breach_eur_per_kwh: Mapped[float]
    evaluated_at: Mapped[datetime]
    evaluated_by: Mapped[str]
    is_met: Mapped[bool]
    cost_eur: Mapped[float | None]
    least_eur: Mapped[float]
    most_eur: Mapped[float | None]
    payment_eur: Mapped[float]
    moved: Mapped[list[str]]
    accepted_at: Mapped[datetime | None]
    accepted_by: Mapped[str | None]
