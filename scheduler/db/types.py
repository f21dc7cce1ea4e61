"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Enum, TypeDecorator
from sqlalchemy.types import TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant, stored and read in UTC. SQLite would lose the offset; naive is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy passes it
    ) -> datetime | None:
        """Turn an aware instant to UTC."""
        return None if value is None else _in_utc(value)

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy passes it
    ) -> datetime | None:
        """Give back an aware instant in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class CompactInstant(TypeDecorator[Any]):
    """An instant in a table of very many rows: on SQLite 8 bytes instead of 26, and faster to read.

    There it is the number of microseconds since 1970; it compares and sorts alike on both.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Keep a number on SQLite, a time stamp elsewhere."""
        kept = BigInteger() if dialect.name == "sqlite" else DateTime(timezone=True)
        return dialect.type_descriptor(kept)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | int | None:
        """Turn an aware instant to what is kept."""
        if value is None:
            return None
        instant = _in_utc(value)
        return (instant - _EPOCH) // _MICROSECOND if dialect.name == "sqlite" else instant

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Give back an aware instant in UTC."""
        if value is None:
            return None
        instant: datetime = (
            _EPOCH + value * _MICROSECOND if dialect.name == "sqlite" else value.astimezone(UTC)
        )
        return instant


def _in_utc(value: datetime) -> datetime:
    if value.utcoffset() is None:
        raise ValueError(f"instant {value.isoformat()} has no time zone")
    return value.astimezone(UTC)


def enum_by_value(kind: type[StrEnum]) -> Enum:
    """Store a ``StrEnum`` as its value in a plain text column, the same on every database."""
    return Enum(
        kind,
        native_enum=False,
        length=40,
        values_callable=lambda members: [member.value for member in members],
    )


Json = dict[str, Any]
