"""Putting a plan together with all that is needed to understand it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from optimizer import Plan
from scheduler.services.assemble import Assembled
from scheduler.services.plan_document import PlanDocument
from scheduler.services.tier_crossings import tier_crossings
from scheduler.specs import FleetSpec


def make_document(
    fleet: FleetSpec,
    assembled: Assembled,
    plan: Plan,
    baseline: Plan,
    now: datetime,
    marks: Sequence[str] = (),
) -> PlanDocument:
    """Make the document of ``plan``.

    Its marks are ``marks``, its own notes, what its energy does to tiers, and the inputs'.
    """
    return PlanDocument(
        fleet=fleet,
        window=assembled.window,
        problem=assembled.problem,
        plan=plan,
        baseline=baseline,
        marks=(
            *marks,
            *plan.notes,
            *tier_crossings(fleet, assembled, plan.flows),
            *assembled.marks,
        ),
        cut_jobs=assembled.cut_jobs,
        inputs=assembled.inputs,
        inputs_known_at=assembled.known_at,
        energy_so_far_kwh=dict(assembled.energy_so_far_kwh),
        declined_before=assembled.declined_before,
        created_at=now,
    )
