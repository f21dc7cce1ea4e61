"""An outage passes by itself; a defect must not look like one, or it is waited for without end."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg.errors
import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError

from scheduler.db.outage import DATABASE_AWAY, DatabaseBroken
from scheduler.db.session import make_engine


def ask(engine: Engine, statement: str) -> None:
    """Send one statement."""
    with engine.begin() as connection:
        connection.execute(text(statement))


def test_missing_table_is_a_defect(tmp_path: Path) -> None:
    """For example where the file was replaced by an empty one."""
    engine = make_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(DatabaseBroken, match="no such table"):
        ask(engine, "SELECT * FROM job")
    engine.dispose()


def test_full_database_is_a_defect(sqlite_url: str) -> None:
    """Nothing can be stored until somebody makes room."""
    engine = make_engine(sqlite_url)
    with engine.connect() as connection:
        connection.execute(text("PRAGMA max_page_count = 1"))
        with pytest.raises(DatabaseBroken, match="full"):
            connection.execute(text("CREATE TABLE more AS SELECT randomblob(1000000)"))
    engine.dispose()


def test_lock_is_an_outage(sqlite_url: str) -> None:
    """It ends when the other one has written."""
    engine = make_engine(sqlite_url)
    path = engine.url.database or ""
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with engine.connect() as connection:
            connection.execute(text("PRAGMA busy_timeout = 1"))
            with pytest.raises(DATABASE_AWAY, match="locked"):
                connection.execute(text("DELETE FROM api_key"))
    engine.dispose()


@contextmanager
def failing_with(engine: Engine, error: Exception) -> Iterator[None]:
    """Let the driver fail every statement with ``error``."""

    def fail(*_: object) -> None:
        raise error

    event.listen(engine, "do_execute", fail)
    event.listen(engine, "do_execute_no_params", fail)
    yield
    event.remove(engine, "do_execute", fail)
    event.remove(engine, "do_execute_no_params", fail)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (psycopg.errors.DiskFull("disk"), DatabaseBroken),
        (psycopg.errors.IoError("disk"), DatabaseBroken),
        (psycopg.errors.AdminShutdown("restart"), OperationalError),
        (psycopg.errors.TooManyConnections("later"), OperationalError),
        (psycopg.OperationalError("the connection is lost"), OperationalError),
    ],
)
def test_errors_of_the_server_are_told_apart(
    postgres_url: str, error: Exception, told: type[Exception]
) -> None:
    """By their SQLSTATE; without one there is no connection."""
    engine = make_engine(postgres_url)
    ask(engine, "SELECT 1")
    with failing_with(engine, error), pytest.raises(told):
        ask(engine, "SELECT 1")
    engine.dispose()
