"""How each stream stands: what came by it since ever, how late it was, and why nothing comes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from scheduler.db.models import StreamState
from scheduler.db.models.stream import STREAM_COUNTS
from scheduler.services.ingestion_store import Taken


def count_batch(session: Session, stream: str, taken: Taken, now: datetime) -> None:
    """Add a batch to the counts of ``stream``, of which anything more is known by ``now``."""
    delay_s = None
    if taken.sent_at is not None:
        delay_s = max(0.0, (now - taken.sent_at) / timedelta(seconds=1))
    counts = {
        "stored": taken.stored,
        "unchanged": taken.unchanged,
        "duplicates": taken.duplicates,
        "dead_letters": len(taken.dead_letters),
    }
    new = counts | {"received_at": now, "delay_s": delay_s, "problem": "", "seen_at": now}
    _upsert(session, stream, new)


def note_standing(
    session: Session, stream: str, problem: str, backlog: int | None, now: datetime
) -> None:
    """Record why nothing comes (empty: nothing stands against it) and how many messages wait."""
    _upsert(session, stream, {"problem": problem, "backlog": backlog, "seen_at": now})


def stream_states(session: Session) -> tuple[StreamState, ...]:
    """Return every stream that ever was connected, by name."""
    return tuple(session.scalars(select(StreamState).order_by(StreamState.stream)))


def _upsert(session: Session, stream: str, new: dict[str, Any]) -> None:
    """Set what is told; what only grows is added to what is there."""
    table = cast("Table", StreamState.__table__)
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    first = dict.fromkeys(STREAM_COUNTS, 0) | {"problem": ""} | new | {"stream": stream}
    statement = insert(table).values(first)
    updated = {
        name: table.c[name] + statement.excluded[name]
        if name in STREAM_COUNTS
        else statement.excluded[name]
        for name in new
    }
    session.execute(statement.on_conflict_do_update(index_elements=["stream"], set_=updated))
