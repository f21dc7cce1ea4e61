"""Plans: looked at, compared, put in force or rejected. Never edited, only superseded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, undefer

from scheduler.db.models import PlanStatus, StoredPlan
from scheduler.services.errors import Conflict, NotFound
from scheduler.services.paging import Page, PageRequest, read_page
from scheduler.services.plan_document import PlanDocument


def list_plans(session: Session, status: PlanStatus | None, page: PageRequest) -> Page[StoredPlan]:
    """Return plans, newest first."""
    statement = select(StoredPlan)
    if status is not None:
        statement = statement.where(StoredPlan.status == status)
    return read_page(session, statement, StoredPlan.created_at, StoredPlan.id, page)


def get_plan(session: Session, plan_id: UUID) -> StoredPlan:
    """Return one plan."""
    plan = session.get(StoredPlan, plan_id)
    if plan is None:
        raise NotFound("plan", plan_id)
    return plan


def find_in_force(session: Session) -> StoredPlan | None:
    """Return the plan in force, or ``None``."""
    return session.scalar(select(StoredPlan).where(StoredPlan.status == PlanStatus.IN_FORCE))


def in_force(session: Session) -> StoredPlan:
    """Return the plan in force; ``NotFound`` where there is none."""
    plan = find_in_force(session)
    if plan is None:
        raise NotFound("plan", "in force")
    return plan


def id_in_force(session: Session) -> UUID:
    """Return the id of the plan in force; ``NotFound`` where there is none."""
    plan_id = session.scalar(select(StoredPlan.id).where(StoredPlan.status == PlanStatus.IN_FORCE))
    if plan_id is None:
        raise NotFound("plan", "in force")
    return plan_id


def read_document(session: Session, plan_id: UUID) -> PlanDocument:
    """Return the whole of one plan, with its problem and its baseline."""
    wanted = select(StoredPlan).where(StoredPlan.id == plan_id)
    plan = session.scalar(wanted.options(undefer(StoredPlan.document)))
    if plan is None:
        raise NotFound("plan", plan_id)
    return PlanDocument.from_record(plan.document)


@dataclass(frozen=True, slots=True)
class InForce:
    """A plan in force, as it was read; without a document where none was."""

    plan_id: UUID | None = None
    document: PlanDocument | None = None


def read_in_force(session: Session) -> InForce:
    """Return the whole of the plan in force."""
    stored = find_in_force(session)
    return InForce() if stored is None else InForce(stored.id, read_document(session, stored.id))


def approve_plan(
    session: Session,
    plan_id: UUID,
    by: str,
    now: datetime,
    note: str = "",
    *,
    compared_with: InForce | None = None,
) -> StoredPlan:
    """Put a proposed plan in force and supersede the one that was, in the caller's transaction.

    Proposals older than the plan are superseded with it: they know less. Of those ``decided_at``
    stays empty, because they never were in force.

    Parameters
    ----------
    compared_with
        What was in force when this was decided; it must be so still. ``None``: whatever is.

    Raises
    ------
    Conflict
        It is not proposed any more, verification refused it, its window is over, another plan was
        put in force at the same time or since it was compared.
    """
    plan = get_plan(session, plan_id)
    _require_open(plan, "approved")
    _require_not_over(plan, now)
    try:
        # The partial unique index lets only one of several approvals at once through.
        with session.begin_nested():
            _supersede(session, plan, compared_with)
            approved = _move(
                session,
                (StoredPlan.id == plan_id) & (StoredPlan.status == PlanStatus.PROPOSED),
                PlanStatus.IN_FORCE,
                decided_by=by,
                decided_at=now,
                decision_note=note,
            )
            if not approved:
                raise Conflict(f"plan {plan_id} was decided on by somebody else meanwhile")
    except IntegrityError as error:
        raise Conflict(f"another plan was put in force while {plan_id} was approved") from error
    session.refresh(plan)
    return plan


def reject_plan(
    session: Session, plan_id: UUID, by: str, now: datetime, note: str = ""
) -> StoredPlan:
    """Turn a proposed plan down. The plan in force stays.

    Raises
    ------
    Conflict
        It is not proposed any more.
    """
    plan = get_plan(session, plan_id)
    _require_open(plan, "rejected")
    still_proposed = (StoredPlan.id == plan_id) & (StoredPlan.status == PlanStatus.PROPOSED)
    decision = {"decided_by": by, "decided_at": now, "decision_note": note}
    if not _move(session, still_proposed, PlanStatus.REJECTED, **decision):
        raise Conflict(f"plan {plan_id} was decided on by somebody else meanwhile")
    session.refresh(plan)
    return plan


def _supersede(session: Session, plan: StoredPlan, compared_with: InForce | None) -> None:
    in_force = StoredPlan.status == PlanStatus.IN_FORCE
    if compared_with is None:
        _move(session, in_force, PlanStatus.SUPERSEDED)
    elif compared_with.plan_id is not None:
        same = in_force & (StoredPlan.id == compared_with.plan_id)
        if not _move(session, same, PlanStatus.SUPERSEDED):
            raise Conflict(
                f"plan {plan.id} was compared with plan {compared_with.plan_id},"
                " which is not in force any more"
            )
    older = (StoredPlan.status == PlanStatus.PROPOSED) & (StoredPlan.created_at < plan.created_at)
    _move(session, older, PlanStatus.SUPERSEDED)


def _require_open(plan: StoredPlan, what: str) -> None:
    if plan.status is PlanStatus.REFUSED or plan.breaches:
        found = "; ".join(plan.breaches[:3])
        raise Conflict(f"plan {plan.id} cannot be {what}: verification refused it ({found})")
    if plan.status is not PlanStatus.PROPOSED:
        raise Conflict(f"plan {plan.id} cannot be {what}: it is {plan.status.value}")


def _require_not_over(plan: StoredPlan, now: datetime) -> None:
    if plan.window_end <= now:
        ended = plan.window_end.isoformat()
        raise Conflict(f"plan {plan.id} cannot be approved: its window ended {ended}")


def _move(session: Session, which: Any, to: PlanStatus, **decision: Any) -> bool:
    """Change the status of the plans ``which`` selects, as they stand in the database now."""
    statement = update(StoredPlan).where(which).values(status=to, **decision)
    unsynchronised = statement.execution_options(synchronize_session=False)
    return cast("CursorResult[Any]", session.execute(unsynchronised)).rowcount > 0
