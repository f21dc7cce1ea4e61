"""What was sent lately and may still take effect, so that it is neither repeated nor overtaken."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from scheduler.db.models import CommandKind, CommandOutcome, DispatchCommand
from scheduler.services.dispatch_types import TRANSFER_KINDS, Command

# An order sent longer ago than this has arrived or never will.
SETTLES_WITHIN = timedelta(minutes=3)
# After its grace a job is given this much longer to be seen as it was told to be.
_SEEN_WITHIN = timedelta(minutes=1)
# What was refused is refused again, unless somebody changed something.
_REFUSED_FOR = timedelta(minutes=15)
_LOOK_BACK = timedelta(days=1)

_TAKES_A_WHILE = (
    CommandKind.SUSPEND,
    CommandKind.CANCEL,
    CommandKind.STAGE_PAUSE,
    CommandKind.STAGE_CANCEL,
)


@dataclass(frozen=True, slots=True)
class LastCommand:
    """What a job's cluster was last told about it."""

    kind: CommandKind
    site: str
    point: str | None
    outcome: CommandOutcome
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Recent:
    """``unsettled``: jobs with an order that may still arrive; ``last``: by what it was about.

    That is a job, or the transfer of its data to a site.
    """

    unsettled: frozenset[UUID]
    last: dict[tuple[UUID | None, str | None], LastCommand]

    def is_repeat(self, command: Command, grace: timedelta, now: datetime) -> bool:
        """Whether a command says what was said before and is still being done, or was refused."""
        last = self.last.get(_subject(command.kind, command.job_id, command.site))
        if last is None or (last.kind, last.site) != (command.kind, command.site):
            return False
        age = now - last.decided_at
        if last.outcome is CommandOutcome.REFUSED:
            return last.point == command.point and age < _REFUSED_FOR
        is_done = last.outcome is CommandOutcome.DONE
        return is_done and command.kind in _TAKES_A_WHILE and age < grace + _SEEN_WITHIN


def read_recent(session: Session, jobs: Collection[UUID], now: datetime) -> Recent:
    """Read what was sent about ``jobs`` within the last day."""
    rows = session.scalars(
        select(DispatchCommand)
        .where(DispatchCommand.job_id.in_(jobs), DispatchCommand.decided_at > now - _LOOK_BACK)
        .order_by(DispatchCommand.decided_at)
    ).all()
    last = {
        _subject(row.kind, row.job_id, row.site): LastCommand(
            row.kind, row.site, row.detail.get("point"), row.outcome, row.decided_at
        )
        for row in rows
    }
    unsettled = session.scalars(
        select(DispatchCommand.job_id).where(DispatchCommand.job_id.in_(jobs), unsettled_order(now))
    )
    return Recent(frozenset(job for job in unsettled if job is not None), last)


def _subject(kind: CommandKind, job_id: UUID | None, site: str) -> tuple[UUID | None, str | None]:
    return job_id, site if kind in TRANSFER_KINDS else None


def unsettled_order(now: datetime) -> ColumnElement[bool]:
    """Select orders whose outcome nobody knows and that may still arrive."""
    return and_(
        DispatchCommand.kind == CommandKind.SUBMIT,
        DispatchCommand.outcome.in_((CommandOutcome.PENDING, CommandOutcome.RETRY)),
        DispatchCommand.decided_at > now - SETTLES_WITHIN,
    )
