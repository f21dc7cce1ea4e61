"""Who puts a verified plan in force: a person, or the policy the fleet states."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from scheduler.db.models import StoredPlan
from scheduler.services.carry_over import Relation, carry_over, relation
from scheduler.services.errors import Conflict
from scheduler.services.plan_document import PlanDocument
from scheduler.services.plans import InForce, approve_plan
from scheduler.specs.fleet import ApprovalPolicy

# Two settlements of one plan differ by less than this part of its cost.
_SAME_COST = 1e-6


@dataclass(frozen=True, slots=True)
class Approval:
    """Why the policy approves a plan, and what was in force when it did."""

    policy: ApprovalPolicy
    reason: str
    compared_with: InForce | None


def approval_by_policy(document: PlanDocument, in_force: InForce) -> Approval | None:
    """Say whether the policy of its fleet approves a plan without a person; ``None``: it does not.

    Under ``if_not_worse`` the plan in force is carried over to the new problem and both are
    compared by their objective. Where it is over, can no longer be followed, or none is in force,
    the new one is not worse. Where the two cannot be compared, a person decides.
    """
    policy = document.fleet.planning.approval
    match policy:
        case ApprovalPolicy.MANUAL:
            return None
        case ApprovalPolicy.ALWAYS:
            return Approval(policy, "every verified plan is approved", None)
        case ApprovalPolicy.IF_NOT_WORSE:
            reason: str | None = "no plan was in force"
            if in_force.document is not None:
                reason = compare(in_force.document, document)
            return None if reason is None else Approval(policy, reason, in_force)


def approve(session: Session, stored: StoredPlan, approval: Approval, now: datetime) -> bool:
    """Put a plan in force that the policy approved; false where things have changed meanwhile.

    A person put another plan in force, or its window is over: it is then theirs to decide.
    """
    by = f"policy {approval.policy.value}"
    try:
        approve_plan(
            session,
            stored.id,
            by,
            now,
            approval.reason,
            compared_with=approval.compared_with,
        )
    except Conflict:
        return False
    return True


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
