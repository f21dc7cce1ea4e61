"""What becomes of a solved run: verified, measured against the baseline, stored whole or not."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from sqlalchemy.orm import Session

from optimizer import Breach, Plan, verify
from scheduler.db.models import PlanStatus, StoredPlan
from scheduler.services.approval import approve_by_policy
from scheduler.services.assemble import Assembled
from scheduler.services.plan_document import PlanDocument
from scheduler.services.planning_inputs import Inputs
from scheduler.services.planning_queue import Lease, succeed_run


class LeaseLost(Exception):
    """The run was cancelled or taken by another worker; its result must not be stored."""


def make_document(
    inputs: Inputs, assembled: Assembled, plan: Plan, baseline: Plan, now: datetime
) -> PlanDocument:
    """Put a plan together with all that is needed to understand it."""
    return PlanDocument(
        fleet=inputs.fleet,
        window=assembled.window,
        problem=assembled.problem,
        plan=plan,
        baseline=baseline,
        marks=assembled.marks,
        cut_jobs=assembled.cut_jobs,
        created_at=now,
    )


def store_result(
    session: Session, lease: Lease, document: PlanDocument, fleet_version: int, now: datetime
) -> StoredPlan:
    """Verify a plan, store it, end its run and approve it as the fleet's policy says.

    All in the caller's transaction: either the run has ended with its plan, or nothing happened.
    A plan that verification refuses is stored as refused, with what was found.

    Raises
    ------
    LeaseLost
        The worker no longer holds the run.
    """
    plan_id = uuid4()
    if not succeed_run(session, lease, now, plan_id):
        raise LeaseLost(f"planning run {lease.run_id} is no longer held by {lease.owner}")
    breaches = verify(document.problem, document.plan)
    stored = _stored(document, breaches)
    stored.id, stored.run_id, stored.fleet_version = plan_id, lease.run_id, fleet_version
    session.add(stored)
    session.flush()
    if not breaches:
        approve_by_policy(session, stored, document, now)
    return stored


def _stored(document: PlanDocument, breaches: tuple[Breach, ...]) -> StoredPlan:
    plan, baseline, window = document.plan, document.baseline, document.window
    return StoredPlan(
        created_at=document.created_at,
        window_start=window.start,
        slot_minutes=window.slot_minutes,
        n_slots=window.n_slots,
        status=PlanStatus.REFUSED if breaches else PlanStatus.PROPOSED,
        rung=plan.rung.value,
        objective_eur=plan.objective,
        bound_eur=plan.bound,
        money_eur=plan.terms.money_eur,
        carbon_kg=plan.terms.carbon_kg,
        baseline_money_eur=baseline.terms.money_eur,
        baseline_carbon_kg=baseline.terms.carbon_kg,
        n_violations=len(plan.violations),
        marks=list(document.marks),
        breaches=[str(breach) for breach in breaches],
        document=document.to_record(),
    )
