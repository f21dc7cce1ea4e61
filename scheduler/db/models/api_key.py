"""Who may call the API, and as what."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.db.models.base import Base
from scheduler.db.types import enum_by_value


class Role(StrEnum):
    """What a key may do; each of the last three includes the ones before it."""

    SENDER = "sender"  # send messages of streams, and see nothing
    SUBMITTER = "submitter"  # submit, see and cancel jobs; read everything
    OPERATOR = "operator"  # run planning, approve and reject plans, upload signals, grid events
    ADMIN = "admin"  # change the fleet, make and revoke keys

    def includes(self, other: Role) -> bool:
        """Whether this role may do all that ``other`` may.

        A submitter may not send: what a meter says is not for whoever has jobs.
        """
        if other is Role.SENDER:
            return self is not Role.SUBMITTER
        order = list(Role)
        return order.index(self) >= order.index(other)


class ApiKey(Base):
    """A key; only its hash is kept."""

    __tablename__ = "api_key"
    __table_args__ = (UniqueConstraint("digest"), UniqueConstraint("name"))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str]
    role: Mapped[Role] = mapped_column(enum_by_value(Role))
    sites: Mapped[list[str] | None]  # of a sender: those it may send for; None: every site
    digest: Mapped[str]  # SHA-256 of a 256-bit random key: no salt needed, compared by look-up
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
