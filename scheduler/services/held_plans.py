"""Plans by when they held: what was in force at an instant that is over."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.db.models import PlanStatus, StoredPlan
from scheduler.services.plan_document import PlanDocument
from scheduler.services.plans import read_document

MOST_READ = 4
"""Plans that are kept in memory from one use to the next."""


class HeldPlans:
    """Plans by when they held; each is read once.

    ``read`` are those that were read before; of more than ``MOST_READ`` the oldest are let go.
    """

    def __init__(self, session: Session, read: dict[UUID, PlanDocument] | None = None) -> None:
        self._session = session
        self._read: dict[UUID, PlanDocument] = {} if read is None else read
        self._is_lent = read is not None

    def holding_at(self, at: datetime) -> PlanDocument | None:
        """Return the plan put in force last by ``at`` of those whose window had begun."""
        return self.expected_at(at, at)

    def expected_at(self, at: datetime, known_at: datetime) -> PlanDocument | None:
        """Return the plan put in force last by ``known_at``, if it says what is to be at ``at``."""
        stored = self._session.scalar(
            select(StoredPlan)
            .where(
                StoredPlan.status.in_((PlanStatus.IN_FORCE, PlanStatus.SUPERSEDED)),
                StoredPlan.window_start <= at,
                StoredPlan.decided_at <= known_at,
            )
            .order_by(StoredPlan.decided_at.desc())
            .limit(1)
        )
        if stored is None or stored.window_end <= at:
            return None
        if stored.id not in self._read:
            if self._is_lent and len(self._read) >= MOST_READ:
                del self._read[next(iter(self._read))]
            self._read[stored.id] = read_document(self._session, stored.id)
        return self._read[stored.id]
