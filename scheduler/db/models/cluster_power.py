"""What the cluster of each site drew, minute by minute."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from connectors.types import PowerScope
from scheduler.db.models.base import Base
from scheduler.db.types import enum_by_value


class ClusterPower(Base):
    """One reading, and what the plan that governed then wanted. Never updated."""

    __tablename__ = "cluster_power"
    __table_args__ = (
        CheckConstraint("kw >= 0", name="kw_nonnegative"),
        Index("ix_cluster_power_at", "at"),
    )

    site: Mapped[str] = mapped_column(primary_key=True)
    # A whole minute: any number of dispatchers give one reading for each.
    at: Mapped[datetime] = mapped_column(primary_key=True)
    kw: Mapped[float]
    is_measured: Mapped[bool]  # False: modelled
    source: Mapped[str]  # who measured it
    scope: Mapped[PowerScope] = mapped_column(enum_by_value(PowerScope))
    reason: Mapped[str]  # why it is modelled
    plan_id: Mapped[UUID | None]
    planned_kw: Mapped[float | None]  # IT load of the site in the slot, before PUE
