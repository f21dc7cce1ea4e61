"""Plans made ready for many small questions: read, and their room and prices set up, once each.

A plan is never edited, so what was made ready once holds for good; which plan is in force is asked
anew every time. Threads may share all of it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.orm import Session

from optimizer import Explainer, Explanation, Quoter
from scheduler.services import plans
from scheduler.services.plan_document import PlanDocument

MOST_READY = 2
"""Plans kept: the one in force, and the one before while requests for it are under way."""


@dataclass(frozen=True, slots=True)
class ReadyPlan:
    """One plan and what answers questions about it."""

    plan_id: UUID
    document: PlanDocument
    quoter: Quoter
    _explainer: Explainer
    _explaining: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, plan_id: UUID, document: PlanDocument) -> ReadyPlan:
        """Make ``document`` ready; takes about as long as a hundred answers."""
        problem, plan = document.problem, document.plan
        return cls(plan_id, document, Quoter.of(problem, plan), Explainer.of(problem, plan))

    def explain(self, job: str, name_slot: Callable[[int], str]) -> Explanation:
        """Explain a job; raises ``KeyError`` for one the plan does not know."""
        # The explainer takes the job out of the plan meanwhile.
        with self._explaining:
            return self._explainer.explain(job, name_slot)


@dataclass(slots=True)
class _Place:
    """Where one plan is made ready: whoever comes second waits for the first."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    ready: ReadyPlan | None = None


class ReadyPlans:
    """The plans that were asked about last."""

    def __init__(self, most: int = MOST_READY) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._places: OrderedDict[UUID, _Place] = OrderedDict()

    def in_force(self, session: Session) -> ReadyPlan:
        """Return the plan in force, ready; the first time, that takes seconds for a large one.

        Raises
        ------
        NotFound
            No plan is in force.
        """
        plan_id = plans.id_in_force(session)
        place = self._place(plan_id)
        with place.lock:
            if place.ready is None:
                place.ready = ReadyPlan.of(plan_id, plans.read_document(session, plan_id))
            return place.ready

    def _place(self, plan_id: UUID) -> _Place:
        with self._lock:
            place = self._places.setdefault(plan_id, _Place())
            self._places.move_to_end(plan_id)
            while len(self._places) > self._most:
                self._places.popitem(last=False)
            return place
