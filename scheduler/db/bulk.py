"""Many rows at once, as fast as each database takes them, without touching what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import ARRAY, Table, bindparam, column, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from scheduler.db.models.base import Base

Columns = Mapping[str, Sequence[Any]]
"""Values by column, all of one length."""

_COUNTED = {"preserve_rowcount": True}  # an INSERT's count is dropped unless it is asked for


def insert_columns(session: Session, model: type[Base], columns: Columns) -> int:
    """Insert the rows of ``columns`` that break no unique key; return how many.

    Every column of the table must be there: no defaults apply. Another transaction inserting the
    same key is waited for; give rows in one order for all, so that none waits in a circle.
    """
    if not _length(columns):
        return 0
    table = cast("Table", model.__table__)
    connection = session.connection()
    if connection.dialect.name != "postgresql":
        one_by_one = sqlite.insert(table).on_conflict_do_nothing()
        return connection.execute(one_by_one, _rows(columns), execution_options=_COUNTED).rowcount
    arrays, values = _unnested(table, columns)
    statement = postgresql.insert(table).from_select(list(columns), arrays)
    at_once = statement.on_conflict_do_nothing()
    return connection.execute(at_once, values, execution_options=_COUNTED).rowcount


def insert_unseen(session: Session, model: type[Base], columns: Columns, key: str) -> set[Any]:
    """Do the same, and return which of ``key``, its only primary key, were inserted."""
    if not _length(columns):
        return set()
    table = cast("Table", model.__table__)
    connection = session.connection()
    if connection.dialect.name != "postgresql":
        one_by_one = sqlite.insert(table).on_conflict_do_nothing().returning(table.c[key])
        return set(connection.execute(one_by_one, _rows(columns)).scalars())
    arrays, values = _unnested(table, columns)
    statement = postgresql.insert(table).from_select(list(columns), arrays)
    returning = statement.on_conflict_do_nothing().returning(table.c[key])
    return set(connection.execute(returning, values).scalars())


def _length(columns: Columns) -> int:
    return len(next(iter(columns.values())))


def _rows(columns: Columns) -> list[dict[str, Any]]:
    names = tuple(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _unnested(table: Table, columns: Columns) -> tuple[Any, dict[str, Any]]:
    """One array for each column: a single statement, whatever the number of rows."""
    types = [table.c[name].type for name in columns]
    bound = [
        bindparam(f"{name}_array", type_=ARRAY(kind))
        for name, kind in zip(columns, types, strict=True)
    ]
    rows = func.unnest(*bound).table_valued(*(column(name) for name in columns)).render_derived()
    values = {f"{name}_array": list(of_column) for name, of_column in columns.items()}
    return select(*(rows.c[name] for name in columns)), values
