"""How long what came by streams is kept; the rest is let go of, some at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Delete, delete, select, tuple_
from sqlalchemy.orm import Session

from scheduler.db.models import DeadLetter, SeenMessage, TelemetryValue

ROWS_AT_ONCE = 20_000
"""Of each kind; more than ever comes in a second, so that nothing piles up."""


@dataclass(frozen=True, slots=True)
class Kept:
    """For how long readings are kept and messages known again, and how many dead letters are."""

    readings: timedelta = timedelta(days=31)
    seen: timedelta = timedelta(hours=48)
    dead_letters: int = 10_000


def tidy(session: Session, now: datetime, kept: Kept, rows: int = ROWS_AT_ONCE) -> None:
    """Delete up to ``rows`` of each kind that are older than they are kept, the oldest first."""
    key = (
        TelemetryValue.site,
        TelemetryValue.series,
        TelemetryValue.device,
        TelemetryValue.at,
    )
    oldest = select(*key).where(TelemetryValue.at < now - kept.readings)
    some = oldest.order_by(TelemetryValue.at).limit(rows)
    _delete(session, delete(TelemetryValue).where(tuple_(*key).in_(some)))
    seen = select(SeenMessage.digest).where(SeenMessage.seen_at < now - kept.seen)
    some_seen = seen.order_by(SeenMessage.seen_at).limit(rows)
    _delete(session, delete(SeenMessage).where(SeenMessage.digest.in_(some_seen)))
    newest = (DeadLetter.received_at.desc(), DeadLetter.id.desc())
    beyond = select(DeadLetter.id).order_by(*newest).limit(rows).offset(kept.dead_letters)
    _delete(session, delete(DeadLetter).where(DeadLetter.id.in_(beyond)))


def _delete(session: Session, statement: Delete) -> None:
    session.execute(statement, execution_options={"synchronize_session": False})
