"""What it looks like when the database is away: locked, restarting, or the connection was cut."""

from __future__ import annotations

from sqlalchemy.exc import InterfaceError, OperationalError

DATABASE_AWAY = (OperationalError, InterfaceError)
"""Worth trying again; every other database error is a defect."""
