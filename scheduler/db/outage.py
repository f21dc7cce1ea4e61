"""What it looks like when the database is away: locked, restarting, or the connection was cut."""

from __future__ import annotations

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

DATABASE_AWAY = (OperationalError, InterfaceError)
"""Worth trying again; every other database error is a defect."""

DATABASE_BUSY = NoConnectionFree
"""All connections of this process stayed in use for too long; worth trying again."""
