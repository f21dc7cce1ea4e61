"""What was promised and did not come about within the last day: deadlines, calls of the grid."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session, undefer

from scheduler.db.models import OPEN_STATUSES, EventSettlement, Job, JobStatus

RECENT = timedelta(days=1)


class LateJobs(StrEnum):
    """Jobs whose deadline has passed."""

    OPEN = "open"  # and that are not over
    ENDED = "ended"  # and that ended after it, or were never started


class EventOutcome(StrEnum):
    """What a call of the grid came to, by its latest settlement."""

    MET = "met"
    UNMET = "unmet"  # a penalty is due
    DECLINED = "declined"  # for its fee, if there is one
    UNKNOWN = "unknown"  # no penalty, but not all of it was metered


def count_late_jobs(session: Session, now: datetime) -> dict[LateJobs, int]:
    """Count those that are not over, and those that ended late within the last day."""
    still = and_(Job.status.in_(OPEN_STATUSES), Job.deadline_at < now)
    ended = and_(
        Job.ended_at > now - RECENT,
        or_(
            Job.status == JobStatus.EXPIRED,
            and_(Job.status == JobStatus.SUCCEEDED, Job.ended_at > Job.deadline_at),
        ),
    )
    which = {LateJobs.OPEN: still, LateJobs.ENDED: ended}
    return {
        late: session.scalar(select(func.count()).select_from(Job).where(condition)) or 0
        for late, condition in which.items()
    }


def count_settled_events(session: Session, now: datetime) -> dict[EventOutcome, int]:
    """Count the calls whose figures changed last within the last day, by what they came to."""
    last = (
        select(EventSettlement.event_id, func.max(EventSettlement.revision).label("revision"))
        .group_by(EventSettlement.event_id)
        .subquery()
    )
    is_last = and_(
        EventSettlement.event_id == last.c.event_id, EventSettlement.revision == last.c.revision
    )
    latest = select(EventSettlement).join(last, is_last).options(undefer(EventSettlement.document))
    counts = dict.fromkeys(EventOutcome, 0)
    for one in session.scalars(latest.where(EventSettlement.settled_at > now - RECENT)):
        counts[_outcome(one)] += 1
    return counts


def _outcome(settlement: EventSettlement) -> EventOutcome:
    if settlement.document["terms"].get("declined_eur") is not None:
        return EventOutcome.DECLINED
    if settlement.penalty_eur is not None and settlement.penalty_eur > 0:
        return EventOutcome.UNMET
    return EventOutcome.MET if settlement.is_whole else EventOutcome.UNKNOWN
