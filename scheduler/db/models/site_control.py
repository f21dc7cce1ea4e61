"""Who controls a site, and how it fares."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.db.models.base import Base


class SiteControl(Base):
    """The control loop of one site. Whoever holds it until ``held_until`` is its only writer.

    What it saw and did last is of the instant ``ticked_at``; power is positive for import and for
    charging [kW].
    """

    __tablename__ = "site_control"
    __table_args__ = (
        CheckConstraint("ticks >= 0", name="ticks_nonnegative"),
        CheckConstraint("missed >= 0", name="missed_nonnegative"),
    )

    site: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str] = mapped_column(default="")
    held_until: Mapped[datetime]
    ticked_at: Mapped[datetime | None]
    plan_id: Mapped[UUID | None]  # that it followed; plans may be deleted, and this is history
    load_kw: Mapped[float | None]  # without batteries
    import_kw: Mapped[float | None]  # measured
    import_limit_kw: Mapped[float | None]
    beyond_kw: Mapped[float] = mapped_column(default=0.0)  # of a limit, that no battery could help
    batteries: Mapped[dict[str, Any]] = mapped_column(default=dict)  # by name: told_kw, bind, ...
    problems: Mapped[list[str]] = mapped_column(default=list)
    ticks: Mapped[int] = mapped_column(BigInteger, default=0)  # in all
    missed: Mapped[int] = mapped_column(BigInteger, default=0)  # that were late or left out
