"""What grid events came to, every time it was reckoned anew."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.db.models.base import Base


class EventSettlement(Base):
    """One settlement of one event; another figure is another row, only ``checked_at`` moves."""

    __tablename__ = "event_settlement"
    __table_args__ = (
        # Of any number of clocks that settle at once, one does.
        UniqueConstraint("event_id", "revision"),
        CheckConstraint("revision >= 0", name="revision_nonnegative"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    event_id: Mapped[UUID] = mapped_column(ForeignKey("grid_event.id"))
    revision: Mapped[int]  # 0 is the first
    settled_at: Mapped[datetime]
    checked_at: Mapped[datetime]  # what was known until then changed nothing more
    is_whole: Mapped[bool]
    score: Mapped[float | None]
    payment_eur: Mapped[float | None]
    penalty_eur: Mapped[float | None]
    document: Mapped[dict[str, Any]] = mapped_column(deferred=True)  # an EventReport
