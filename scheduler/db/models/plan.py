"""Plans: made whole, decided on once, superseded, never edited."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.db.models.base import Base
from scheduler.db.types import enum_by_value


class PlanStatus(StrEnum):
    """What was decided about a plan."""

    PROPOSED = "proposed"
    IN_FORCE = "in_force"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"  # by a newer one; undecided where it was only proposed
    REFUSED = "refused"  # verify found a broken limit; kept for a person to look at


class StoredPlan(Base):
    """One plan with the problem it answers and the baseline it is measured against."""

    __tablename__ = "plan"
    __table_args__ = (
        # Two plans can never be in force at once.
        Index(
            "uq_plan_in_force",
            "status",
            unique=True,
            sqlite_where=text("status = 'in_force'"),
            postgresql_where=text("status = 'in_force'"),
        ),
        Index("ix_plan_created", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    run_id: Mapped[UUID] = mapped_column(ForeignKey("planning_run.id"), unique=True)
    fleet_version: Mapped[int] = mapped_column(ForeignKey("fleet_version.id"))
    created_at: Mapped[datetime]
    window_start: Mapped[datetime]
    slot_minutes: Mapped[int]
    n_slots: Mapped[int]
    status: Mapped[PlanStatus] = mapped_column(enum_by_value(PlanStatus))
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    decision_note: Mapped[str] = mapped_column(default="")
    rung: Mapped[str]
    objective_eur: Mapped[float]
    bound_eur: Mapped[float | None]
    money_eur: Mapped[float]
    carbon_kg: Mapped[float]
    baseline_money_eur: Mapped[float]
    baseline_carbon_kg: Mapped[float]
    n_violations: Mapped[int]
    marks: Mapped[list[str]]  # stale, filled or short inputs, one sentence each
    breaches: Mapped[list[str]]  # what verify found; not empty only where REFUSED
    inputs_known_at: Mapped[datetime | None]  # as of when signals were read; None: not kept yet
    document: Mapped[dict[str, Any]] = mapped_column(deferred=True)  # a PlanDocument

    @property
    def gap(self) -> float | None:
        """Relative distance between objective and bound; ``None`` where nothing was proven."""
        if self.bound_eur is None:
            return None
        short_eur = max(0.0, self.objective_eur - self.bound_eur)
        return short_eur / max(abs(self.objective_eur), 1e-9)

    @property
    def window_end(self) -> datetime:
        """End of its last slot."""
        return self.window_start + self.n_slots * timedelta(minutes=self.slot_minutes)
