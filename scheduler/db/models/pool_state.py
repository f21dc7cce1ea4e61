"""What the cluster of each site last said of its pools."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from scheduler.db.models.base import Base


class PoolState(Base):
    """GPUs of one pool as its cluster saw them at one instant."""

    __tablename__ = "pool_state"

    site: Mapped[str] = mapped_column(primary_key=True)
    pool: Mapped[str] = mapped_column(primary_key=True)
    gpus_total: Mapped[int]
    gpus_available: Mapped[int]  # total less drained and failed
    gpus_in_use: Mapped[int]
    gpus_of_others: Mapped[int]
    seen_at: Mapped[datetime]
    clock_ahead_s: Mapped[float | None]  # of this scheduler's; None: its cluster does not tell
    silent_since: Mapped[datetime | None]  # its cluster did not answer the dispatcher from then on
    silence: Mapped[str] = mapped_column(default="")  # why, in words of the last try
