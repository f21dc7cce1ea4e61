"""Which cluster each site has: its memory of jobs, by name."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from scheduler.db.models.base import Base


class ClusterIdentity(Base):
    """What the cluster of one site called itself when it was first heard."""

    __tablename__ = "cluster_identity"

    site: Mapped[str] = mapped_column(primary_key=True)
    identity: Mapped[str]
    seen_at: Mapped[datetime]
