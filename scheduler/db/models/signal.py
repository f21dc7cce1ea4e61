"""Signals as they came in: what each value is for, and when it was known."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from connectors.types import SignalKind
from scheduler.db.models.base import Base
from scheduler.db.types import enum_by_value


class SignalValue(Base):
    """One value for [start_at, start_at + minutes), as known at ``known_at``. Never updated.

    The primary key is in the order in which the latest known values are looked up.
    """

    __tablename__ = "signal_value"
    __table_args__ = (
        CheckConstraint("minutes > 0", name="minutes_positive"),
        Index("ix_signal_value_known", "known_at"),
    )

    site: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[SignalKind] = mapped_column(enum_by_value(SignalKind), primary_key=True)
    start_at: Mapped[datetime] = mapped_column(primary_key=True)
    known_at: Mapped[datetime] = mapped_column(primary_key=True)
    minutes: Mapped[int]
    value: Mapped[float]
    source: Mapped[str]
