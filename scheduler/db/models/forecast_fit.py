"""How published forecasts are weighed, and how long their errors last, as fitted."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from connectors.types import SignalKind
from scheduler.db.models.base import Base
from scheduler.db.types import enum_by_value


class ForecastFit(Base):
    """What is made of the forecasts of one signal. Never updated.

    ``left`` of an error after 1, 2, ... intervals; ``weights`` of what was published, the newest
    day and the mean of a week, for forecasts less than 1, 2, ... days old. Empty lists: nothing was
    left, or to be gained, or too little was known to tell.
    """

    __tablename__ = "forecast_fit"
    __table_args__ = (CheckConstraint("minutes > 0", name="minutes_positive"),)

    site: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[SignalKind] = mapped_column(enum_by_value(SignalKind), primary_key=True)
    fitted_at: Mapped[datetime] = mapped_column(primary_key=True)
    minutes: Mapped[int]
    left: Mapped[list[float]] = mapped_column(JSON)
    weights: Mapped[list[list[float]]] = mapped_column(JSON)
