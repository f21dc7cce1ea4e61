"""``gridtide db``: bring the database to the schema this version needs."""

from __future__ import annotations

import typer
from sqlalchemy import make_url

from scheduler.cli.console import JsonOption, UserError, emit, working
from scheduler.db.session import SessionFactory
from scheduler.db.upgrade import DatabaseTooNew, schema_state, upgrade
from scheduler.main import open_sessions
from scheduler.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="Look after the database.", no_args_is_help=True)
    group.callback()(_group)
    group.command("upgrade")(upgrade_database)
    app.add_typer(group, name="db")


def _group() -> None:
    # With a single command and no callback, Typer would make "db" itself that command.
    pass


def upgrade_database(as_json: JsonOption = False) -> None:
    """Create or upgrade the schema. Safe to repeat, and to run from several places at once."""
    settings = Settings()
    with working("Upgrading the database"):
        sessions = upgraded_sessions(settings)
    with sessions() as session:
        revision = schema_state(session.connection()).current
    url = make_url(settings.resolved_database_url).render_as_string(hide_password=True)
    emit({"database": url, "revision": revision}, f"{url} is at revision {revision}", as_json)


def upgraded_sessions(settings: Settings) -> SessionFactory:
    """Open the database of ``settings`` after bringing its schema up to date."""
    sessions = open_sessions(settings)
    try:
        upgrade(settings.resolved_database_url)
    except DatabaseTooNew as error:
        raise UserError(str(error)) from error
    return sessions


def ready_sessions(settings: Settings) -> SessionFactory:
    """Open the database of ``settings``, which must have the schema this version needs."""
    sessions = open_sessions(settings)
    with sessions() as session:
        state = schema_state(session.connection())
    if not state.is_current:
        found = state.current or "none"
        raise UserError(
            f"the database is at schema revision {found}, this version needs {state.needed}:"
            " run gridtide db upgrade"
        )
    return sessions
