"""Forecasts that Gridtide issued itself: what was expected of a signal, and when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from connectors.types import SignalKind
from scheduler.db.models.base import Base
from scheduler.db.types import enum_by_value


class SignalForecast(Base):
    """One forecast of one signal from ``start_at`` on, as issued. Never updated.

    The primary key is in the order in which the newest that was known at an instant is looked up.
    """

    __tablename__ = "signal_forecast"
    __table_args__ = (
        CheckConstraint("minutes > 0", name="minutes_positive"),
        Index("ix_signal_forecast_end", "end_at"),
    )

    site: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[SignalKind] = mapped_column(enum_by_value(SignalKind), primary_key=True)
    issued_at: Mapped[datetime] = mapped_column(primary_key=True)
    start_at: Mapped[datetime]
    end_at: Mapped[datetime]
    minutes: Mapped[int]
    method: Mapped[str]
    asked: Mapped[str]  # the method the fleet asked for; another one where history is short
    levels: Mapped[list[float]] = mapped_column(JSON)
    quantiles: Mapped[list[Any]] = mapped_column(JSON)  # [interval][level], unit of the kind
    notes: Mapped[list[str]]
