"""The record of commands sent to clusters and batteries, for people to read."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.db.models import CommandOutcome, DispatchCommand
from scheduler.services.paging import Page, PageRequest, read_page


@dataclass(frozen=True, slots=True)
class CommandFilter:
    """Which commands; ``None`` leaves a field out."""

    job_id: UUID | None = None
    site: str | None = None
    outcome: CommandOutcome | None = None


def list_commands(
    session: Session, wanted: CommandFilter, page: PageRequest
) -> Page[DispatchCommand]:
    """Return commands, the one decided on last first."""
    statement = select(DispatchCommand)
    if wanted.job_id is not None:
        statement = statement.where(DispatchCommand.job_id == wanted.job_id)
    if wanted.site is not None:
        statement = statement.where(DispatchCommand.site == wanted.site)
    if wanted.outcome is not None:
        statement = statement.where(DispatchCommand.outcome == wanted.outcome)
    return read_page(session, statement, DispatchCommand.decided_at, DispatchCommand.id, page)
