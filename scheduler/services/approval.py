"""Who puts a verified plan in force: a person, or the policy the fleet states."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from scheduler.db.models import StoredPlan
from scheduler.services.carry_over import Relation, carry_over, relation
from scheduler.services.errors import Conflict
from scheduler.services.plan_document import PlanDocument
from scheduler.services.plans import approve_plan, find_in_force, read_document
from scheduler.specs.fleet import ApprovalPolicy

# Two settlements of one plan differ by less than this part of its cost.
_SAME_COST = 1e-6


def approve_by_policy(
    session: Session, stored: StoredPlan, document: PlanDocument, now: datetime
) -> bool:
    """Approve a proposed plan where the policy of its fleet allows it without a person.

    Under ``if_not_worse`` the plan in force is carried over to the new problem and both are
    compared by their objective. Where it is over, can no longer be followed, or none is in force,
    the new one is not worse. Where the two cannot be compared, a person decides.
    """
    reason = _reason_to_approve(session, document)
    if reason is None:
        return False
    policy = document.fleet.planning.approval
    try:
        approve_plan(session, stored.id, f"policy {policy.value}", now, reason)
    except Conflict:
        # A person put another plan in force just now, or its window is over: theirs to decide.
        return False
    return True


def _reason_to_approve(session: Session, document: PlanDocument) -> str | None:
    match document.fleet.planning.approval:
        case ApprovalPolicy.MANUAL:
            return None
        case ApprovalPolicy.ALWAYS:
            return "every verified plan is approved"
        case ApprovalPolicy.IF_NOT_WORSE:
            in_force = find_in_force(session)
            if in_force is None:
                return "no plan was in force"
            return compare(read_document(session, in_force.id), document)


def compare(in_force: PlanDocument, proposed: PlanDocument) -> str | None:
    """Say why ``proposed`` is not worse than ``in_force``; ``None`` where it is, or nobody knows.

    Nobody knows where the plan in force begins later than the proposed one, or is in other slots.
    """
    lies = relation(in_force.window, proposed.window)
    if lies is Relation.IS_OVER:
        return "the plan in force is over"
    if lies is not Relation.OVERLAPS:
        return None
    carried = carry_over(in_force, proposed.problem, proposed.window)
    if carried is None:
        return "the plan in force can no longer be followed"
    new, old = proposed.plan.objective, carried.objective
    if new > old + _SAME_COST * max(1.0, abs(old)):
        return None
    return f"objective {new:.2f} EUR, against {old:.2f} EUR for holding on to the plan in force"
