"""``INSERT ... ON CONFLICT DO NOTHING``, the same for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from scheduler.db.models.base import Base


def insert_new(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert those of ``rows`` that break no unique key; return how many.

    Another transaction inserting the same key is waited for, so that of any number of concurrent
    inserts exactly one counts. Column defaults apply; every row has the same keys.
    """
    if not rows:
        return 0
    table = cast("Table", model.__table__)
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    # Only what was inserted is returned; the row count of a batch is unknown on PostgreSQL.
    statement = insert(table).on_conflict_do_nothing().returning(*table.primary_key.columns)
    return len(session.execute(statement, [dict(row) for row in rows]).all())
