"""Calls from the grid side."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from connectors.types import GridEventKind
from scheduler.db.models.base import Base
from scheduler.db.types import enum_by_value


class GridEvent(Base):
    """Import at most ``limit_kw`` at ``site`` in [start_at, end_at)."""

    __tablename__ = "grid_event"
    __table_args__ = (
        UniqueConstraint("external_id"),
        CheckConstraint("end_at > start_at", name="ends_after_start"),
        CheckConstraint("limit_kw >= 0", name="limit_nonnegative"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    external_id: Mapped[str]
    site: Mapped[str]
    start_at: Mapped[datetime]
    end_at: Mapped[datetime]
    limit_kw: Mapped[float]
    breach_eur_per_kwh: Mapped[float]
    kind: Mapped[GridEventKind] = mapped_column(
        enum_by_value(GridEventKind), default=GridEventKind.LIMIT
    )
    issued_at: Mapped[datetime | None]  # when its sender said it last
    ramp_minutes: Mapped[float] = mapped_column(default=0.0)  # to come down to the limit
    priority: Mapped[int | None]  # of its sender; 0 is the highest
    payment_eur_per_kwh: Mapped[float] = mapped_column(default=0.0)  # what is not drawn is paid
    rebound_kw: Mapped[float | None]  # import at most directly after it
    rebound_minutes: Mapped[float] = mapped_column(default=0.0)  # for so long
    rebound_eur_per_kwh: Mapped[float] = mapped_column(default=0.0)
    received_at: Mapped[datetime]
    received_from: Mapped[str]
    cancelled_at: Mapped[datetime | None]
