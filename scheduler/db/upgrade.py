"""Bring a database to the schema this version needs, and tell where one stands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, make_url, text

import migrations
from scheduler.db.session import make_engine

# Any constant will do: it only has to be the same for every Gridtide process.
_UPGRADE_LOCK = 4_741_053


class DatabaseTooNew(Exception):
    """The database was made by a later version: install that one, or use another database."""


@dataclass(frozen=True, slots=True)
class SchemaState:
    """Revision of a database (``None``: empty) and the one this version needs."""

    current: str | None
    needed: str

    @property
    def is_current(self) -> bool:
        """Whether this version can work on the database."""
        return self.current == self.needed


def schema_state(connection: Connection) -> SchemaState:
    """Say where the database behind ``connection`` stands."""
    needed = _scripts().get_current_head()
    if needed is None:
        raise RuntimeError("the installed migrations package holds no revision")
    return SchemaState(MigrationContext.configure(connection).get_current_revision(), needed)


def upgrade(url: str) -> None:
    """Create or upgrade the schema at ``url``; several processes may do so at the same time.

    Raises
    ------
    DatabaseTooNew
        The database is at a revision this version does not know.
    """
    engine = make_engine(url)
    try:
        _upgrade(engine)
    finally:
        engine.dispose()


def _upgrade(engine: Engine) -> None:
    with engine.connect() as connection, connection.begin():
        _take_lock(connection)
        state = schema_state(connection)
        if state.is_current:
            return
        _require_known(engine, state)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _take_lock(connection: Connection) -> None:
    """Let one process upgrade at a time; the lock ends with the transaction."""
    if connection.dialect.name == "sqlite":
        # Tables are rebuilt to change them; that must not cascade. No effect inside a transaction.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})


def _require_known(engine: Engine, state: SchemaState) -> None:
    if state.current is None:
        return
    try:
        _scripts().get_revision(state.current)
    except CommandError as error:
        where = make_url(engine.url).render_as_string(hide_password=True)
        raise DatabaseTooNew(
            f"database {where}: schema revision {state.current!r} is unknown to this version of"
            f" Gridtide, which knows revisions up to {state.needed!r}"
        ) from error


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return config
