"""Fixtures for every test: fresh databases."""

from __future__ import annotations

from tests.fixtures.database import (
    database_url,
    engine,
    migrated_sqlite,
    postgres_server,
    postgres_url,
    sessions,
    sqlite_url,
)

__all__ = [
    "database_url",
    "engine",
    "migrated_sqlite",
    "postgres_server",
    "postgres_url",
    "sessions",
    "sqlite_url",
]
