"""A run before and after its solve: prepared; then verified, and stored whole or not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy.orm import Session

from optimizer import Breach, Plan, SolveLimits, verify
from scheduler.db.models import PlanStatus, StoredPlan
from scheduler.services.approval import Approval, approval_by_policy, approve
from scheduler.services.assemble import Assembled
from scheduler.services.carry_over import retell
from scheduler.services.plan_document import PlanDocument
from scheduler.services.planning_inputs import Inputs
from scheduler.services.planning_queue import Lease, succeed_run
from scheduler.services.plans import InForce


class LeaseLost(Exception):
    """The run was cancelled or taken by another worker; its result must not be stored."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is to be solved, within which limits, and the plan in force told in its slots."""

    assembled: Assembled
    limits: SolveLimits
    last_plan: Plan | None


def prepare(inputs: Inputs, time_limit_s: float) -> Prepared:
    """Turn what is known into what a solver is given; raises as ``Inputs.assemble`` does."""
    assembled = inputs.assemble()
    last_plan = None
    if inputs.in_force is not None:
        last_plan = retell(inputs.in_force, assembled.problem, assembled.window)
    limits = SolveLimits(time_limit_s, inputs.fleet.planning.mip_gap)
    return Prepared(assembled, limits, last_plan)


@dataclass(frozen=True, slots=True)
class Review:
    """What verification found, and whether the policy approves."""

    breaches: tuple[Breach, ...]
    approval: Approval | None


def review(document: PlanDocument, in_force: InForce) -> Review:
    """Verify a plan and, where nothing is found, compare it with the plan in force.

    It takes seconds for a large plan, so it is done while no transaction is open.
    """
    breaches = verify(document.problem, document.plan)
    return Review(breaches, None if breaches else approval_by_policy(document, in_force))


def store_result(
    session: Session,
    lease: Lease,
    document: PlanDocument,
    reviewed: Review,
    fleet_version: int,
    now: datetime,
) -> StoredPlan:
    """Store a plan, end its run and approve it where the review says so.

    All in the caller's transaction: either the run has ended with its plan, or nothing happened.
    A plan that verification refused is stored as refused, with what was found.

    Raises
    ------
    LeaseLost
        The worker no longer holds the run.
    """
    plan_id = uuid4()
    if not succeed_run(session, lease, now, plan_id):
        raise LeaseLost(f"planning run {lease.run_id} is no longer held by {lease.owner}")
    stored = _stored(document, reviewed.breaches)
    stored.id, stored.run_id, stored.fleet_version = plan_id, lease.run_id, fleet_version
    session.add(stored)
    session.flush()
    if reviewed.approval is not None:
        approve(session, stored, reviewed.approval, now)
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
        inputs_known_at=document.inputs_known_at,
        document=document.to_record(),
    )
