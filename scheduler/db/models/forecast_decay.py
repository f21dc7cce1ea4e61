"""How long errors of published forecasts last, as fitted from time to time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from connectors.types import SignalKind
from scheduler.db.models.base import Base
from scheduler.db.types import enum_by_value


class ForecastDecay(Base):
    """What is left of an error of one signal after 1, 2, ... intervals. Never updated.

    An empty list: nothing was left, or too little was known to tell.
    """

    __tablename__ = "forecast_decay"
    __table_args__ = (CheckConstraint("minutes > 0", name="minutes_positive"),)

    site: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[SignalKind] = mapped_column(enum_by_value(SignalKind), primary_key=True)
    fitted_at: Mapped[datetime] = mapped_column(primary_key=True)
    minutes: Mapped[int]
    left: Mapped[list[float]] = mapped_column(JSON)
