"""Engine and sessions. Sync on purpose: see docs/decisions (sync database access)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.orm import Session, sessionmaker

SessionFactory = sessionmaker[Session]

POOL_SIZE = 20
"""Connections of one process; PostgreSQL has 100 for all by default."""

_CONNECT_WITHIN_S = 10.0  # when all are in use


def make_engine(url: str) -> Engine:
    """Open a database. SQLite gets WAL, foreign keys and a busy timeout of 30 s.

    Its errors do not tell the values of a statement: jobs' variables and key digests are secret.
    """
    pool: dict[str, Any] = {
        "pool_size": POOL_SIZE,
        "max_overflow": 0,
        "pool_timeout": _CONNECT_WITHIN_S,
        "hide_parameters": True,
    }
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True, **pool)
    engine = create_engine(url, connect_args={"timeout": 30}, **pool)

    @event.listens_for(engine, "connect")
    def _set_pragmas(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "savepoint")
    def _begin_first(connection: Connection, _name: str | None) -> None:
        # The driver begins a transaction at the first write, but not at a savepoint, whose release
        # would then commit. Beginning with the write lock also avoids a stale snapshot.
        driver = connection.connection.driver_connection
        if driver is not None and not driver.in_transaction:
            driver.execute("BEGIN IMMEDIATE")

    return engine


def make_session_factory(engine: Engine) -> SessionFactory:
    """Sessions whose objects stay readable after commit."""
    return sessionmaker(engine, expire_on_commit=False)


@contextmanager
def transaction(sessions: SessionFactory) -> Iterator[Session]:
    """One unit of work: committed at the end, rolled back on any error. Nobody else commits."""
    with sessions.begin() as session:
        yield session
