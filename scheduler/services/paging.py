"""Pages by position of the last row seen, newest first: rows added meanwhile shift nothing."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Select, and_, or_
from sqlalchemy.orm import InstrumentedAttribute, Session

from scheduler.services.errors import Invalid, Refusal
from scheduler.specs.base import Instant

Row = TypeVar("Row")

_BY_ID: TypeAdapter[tuple[datetime, UUID]] = TypeAdapter(tuple[Instant, UUID])


@dataclass(frozen=True, slots=True)
class PageRequest:
    """How many rows, after which one. ``cursor`` is what an earlier page gave as its next."""

    limit: int = 100
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows; ``next_cursor`` is ``None`` on the last page."""

    items: tuple[Row, ...]
    next_cursor: str | None


def read_page(
    session: Session,
    statement: Select[Row],
    at: InstrumentedAttribute[datetime],
    id_: InstrumentedAttribute[UUID],
    request: PageRequest,
) -> Page[Row]:
    """Rows of ``statement`` after the cursor, newest ``at`` first, ties by ``id_``."""
    return read_page_by(session, statement, (at, id_), _BY_ID, request)


def read_page_by(
    session: Session,
    statement: Select[Row],
    keys: Sequence[InstrumentedAttribute[Any]],
    position: TypeAdapter[Any],
    request: PageRequest,
) -> Page[Row]:
    """Rows of ``statement`` after the cursor, from the greatest keys down.

    Parameters
    ----------
    keys
        Columns that tell rows apart together.
    position
        Reads their values, in order, from the texts of a cursor; none holds a slash.
    """
    if request.cursor is not None:
        statement = statement.where(_is_after(keys, _decode(request.cursor, position)))
    ordered = statement.order_by(*(key.desc() for key in keys)).limit(request.limit + 1)
    rows = tuple(session.scalars(ordered))
    if len(rows) <= request.limit:
        return Page(rows, None)
    last = rows[request.limit - 1]
    return Page(rows[: request.limit], _encode([getattr(last, key.key) for key in keys]))


def _is_after(
    keys: Sequence[InstrumentedAttribute[Any]], last: Sequence[Any]
) -> ColumnElement[bool]:
    pairs = list(zip(keys, last, strict=True))
    return or_(
        *(
            and_(*(earlier == same for earlier, same in pairs[:index]), key < value)
            for index, (key, value) in enumerate(pairs)
        )
    )


def _encode(last: Sequence[Any]) -> str:
    texts = (one.isoformat() if isinstance(one, datetime) else str(one) for one in last)
    return base64.urlsafe_b64encode("/".join(texts).encode()).decode()


def _decode(cursor: str, position: TypeAdapter[Any]) -> Sequence[Any]:
    try:
        texts = base64.urlsafe_b64decode(cursor.encode()).decode().split("/")
        last: Sequence[Any] = position.validate_python(tuple(texts))
    except ValueError as error:
        limit = "the next_cursor of an earlier page"
        raise Invalid(Refusal("page", "cursor", cursor, limit)) from error
    return last
