"""Every version of the fleet that ever was; the newest holds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from scheduler.db.models.base import Base


class FleetVersion(Base):
    """One immutable version of the fleet."""

    __tablename__ = "fleet_version"

    # One more than the version it was made from: two people changing one version is a conflict.
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    spec: Mapped[dict[str, Any]]  # a FleetSpec
    created_at: Mapped[datetime]
    created_by: Mapped[str]
