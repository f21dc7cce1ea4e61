"""How often other processes were asked to look at something at once."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from scheduler.db.models.base import Base


class WakeUp(Base):
    """``times`` somebody asked to look at ``subject`` now; who looks compares it with the last.

    It is counted, not timed: no instant of one machine is compared with one of another.
    """

    __tablename__ = "wake_up"

    subject: Mapped[str] = mapped_column(primary_key=True)
    times: Mapped[int]
