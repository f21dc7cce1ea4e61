"""Engine and sessions. Sync on purpose: see docs/decisions (sync database access)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.orm import Session, sessionmaker

from scheduler.db.outage import name_defects

SessionFactory = sessionmaker[Session]

POOL_SIZE = 20
"""Connections of one process; PostgreSQL has 100 for all by default."""

_CONNECT_WITHIN_S = 10.0  # when all are in use


def make_engine(url: str, *, is_durable: bool = False) -> Engine:
    """Open a database. SQLite gets WAL, foreign keys and a busy timeout of 30 s.

    What was committed outlasts the death of any process; where it ``is_durable``, that of the
    machine as well, which PostgreSQL sees to by itself and SQLite waits for the disk for.

    Its errors do not tell the values of a statement: jobs' variables and key digests are secret.
    Those that trying again will not help are ``DatabaseBroken``.
    """
    pool: dict[str, Any] = {
        "pool_size": POOL_SIZE,
        "max_overflow": 0,
        "pool_timeout": _CONNECT_WITHIN_S,
        "hide_parameters": True,
    }
    is_sqlite = url.startswith("sqlite")
    options: dict[str, Any] = (
        {"connect_args": {"timeout": 30}} if is_sqlite else {"pool_pre_ping": True}
    )
    engine = create_engine(url, **options, **pool)
    event.listen(engine, "handle_error", name_defects)
    if is_sqlite:
        _set_up_sqlite(engine, "FULL" if is_durable else "NORMAL")
    return engine


def _set_up_sqlite(engine: Engine, synchronous: str) -> None:
    @event.listens_for(engine, "connect")
    def _set_pragmas(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "savepoint")
    def _begin_first(connection: Connection, _name: str | None) -> None:
        # The driver begins a transaction at the first write, but not at a savepoint, whose release
        # would then commit. Beginning with the write lock also avoids a stale snapshot.
        driver = connection.connection.driver_connection
        if driver is not None and not driver.in_transaction:
            driver.execute("BEGIN IMMEDIATE")


def make_session_factory(engine: Engine) -> SessionFactory:
    """Sessions whose objects stay readable after commit."""
    return sessionmaker(engine, expire_on_commit=False)


@contextmanager
def transaction(sessions: SessionFactory) -> Iterator[Session]:
    """One unit of work: committed at the end, rolled back on any error. Nobody else commits."""
    with sessions.begin() as session:
        yield session
