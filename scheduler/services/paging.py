"""Pages by position of the last row seen, newest first: rows added meanwhile shift nothing."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Select, and_, or_
from sqlalchemy.orm import InstrumentedAttribute, Session

from scheduler.services.errors import Invalid, Refusal
from scheduler.specs.base import Instant

Row = TypeVar("Row")

_INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)


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
    if request.cursor is not None:
        last_at, last_id = _decode(request.cursor)
        statement = statement.where(or_(at < last_at, and_(at == last_at, id_ < last_id)))
    ordered = statement.order_by(at.desc(), id_.desc()).limit(request.limit + 1)
    rows = tuple(session.scalars(ordered))
    if len(rows) <= request.limit:
        return Page(rows, None)
    last = rows[request.limit - 1]
    return Page(rows[: request.limit], _encode(getattr(last, at.key), getattr(last, id_.key)))


def _encode(at: datetime, id_: UUID) -> str:
    return base64.urlsafe_b64encode(f"{at.isoformat()}/{id_.hex}".encode()).decode()


def _decode(cursor: str) -> tuple[datetime, UUID]:
    try:
        at, id_ = base64.urlsafe_b64decode(cursor.encode()).decode().split("/")
        return _INSTANT.validate_python(at), UUID(id_)
    except ValueError as error:
        limit = "the next_cursor of an earlier page"
        raise Invalid(Refusal("page", "cursor", cursor, limit)) from error
