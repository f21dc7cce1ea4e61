"""What it looks like when the database is away, and what looks alike but is a defect.

Drivers raise the same class for a lock or a cut connection, which pass, and for a missing table or
a full disk, which do not: told apart here by their codes.
"""

from __future__ import annotations

import sqlite3

from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

DATABASE_AWAY = (OperationalError, InterfaceError)
"""Locked, restarting, or the connection was cut: worth trying again."""

DATABASE_BUSY = NoConnectionFree
"""All connections of this process stayed in use for too long; worth trying again."""


class DatabaseBroken(Exception):
    """The database answers but cannot work: no schema, full, damaged. A person has to look."""


_PASSING_SQLITE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
# SQLSTATE of PostgreSQL: out of disk, out of memory, and errors of the system it runs on.
_LASTING_SQLSTATES = ("53100", "53200", "58")


def name_defects(context: ExceptionContext) -> None:
    """Raise ``DatabaseBroken`` in the place of an error that will not pass by itself."""
    error = context.original_exception
    if isinstance(context.sqlalchemy_exception, OperationalError) and not _passes(error):
        raise DatabaseBroken(str(error)) from error


def _passes(error: BaseException) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        return error.sqlite_errorcode & 0xFF in _PASSING_SQLITE
    sqlstate: str | None = getattr(error, "sqlstate", None)  # None: there is no connection
    return sqlstate is None or not sqlstate.startswith(_LASTING_SQLSTATES)
