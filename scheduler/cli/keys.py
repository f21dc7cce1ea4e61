"""``gridtide keys``: make, list and revoke API keys, on the machine that has the database."""

from __future__ import annotations

from typing import Annotated

import typer

from scheduler.cli.client import text_table
from scheduler.cli.console import JsonOption, UserError, emit, stdout
from scheduler.cli.database import ready_sessions
from scheduler.db.models import ApiKey, Role
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import keys
from scheduler.settings import Settings
from scheduler.timekeeping import system_now

COLUMNS = {
    "NAME": "name",
    "ROLE": "role",
    "SITES": "sites",
    "CREATED": "created_at",
    "REVOKED": "revoked_at",
}
KeyName = Annotated[str, typer.Argument(help="Name of the key; given once, for ever.")]


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)
    group.command("create")(create)
    group.command("list")(list_keys)
    group.command("revoke")(revoke)
    app.add_typer(group, name="keys")


def create(
    name: KeyName,
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.SUBMITTER,
    site: Annotated[
        list[str] | None, typer.Option(help="Of a sender: a site it may send for; else all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it. It is stored hashed: nobody can show it again."""
    with transaction(ready_sessions(Settings())) as session:
        key, secret = keys.create_key(session, name, role, system_now(), site or None)
        data = _shown(key) | {"key": secret}
    emit(data, f"key {name} ({role.value}), shown this once:\n{secret}", as_json)


def list_keys(as_json: JsonOption = False) -> None:
    """List every key ever made; the keys themselves are not kept."""
    with transaction(ready_sessions(Settings())) as session:
        found = [_shown(key) for key in keys.list_keys(session)]
    emit(
        found,
        text_table(COLUMNS, [one | {"sites": _listed(one["sites"])} for one in found]),
        as_json,
    )


def revoke(name: KeyName, as_json: JsonOption = False) -> None:
    """Make a key worthless from now on."""
    with transaction(ready_sessions(Settings())) as session:
        found = next((key for key in keys.list_keys(session) if key.name == name), None)
        if found is None:
            raise UserError(f"there is no key {name}")
        data = _shown(keys.revoke_key(session, found.id, system_now()))
    emit(data, f"key {name} is revoked", as_json)


def print_first_key(sessions: SessionFactory) -> None:
    """Make the first admin key where there is none at all, and print it."""
    with transaction(sessions) as session:
        secret = keys.create_first_key(session, system_now())
    if secret is not None:
        console = stdout()
        console.print("The first API key (admin). It is shown this once:", style="bold")
        console.print(secret, markup=False, highlight=False, soft_wrap=True)


def _listed(sites: object) -> str:
    return ", ".join(sites) if isinstance(sites, list) else "all"


def _shown(key: ApiKey) -> dict[str, object]:
    return {
        "id": str(key.id),
        "name": key.name,
        "role": key.role.value,
        "sites": key.sites,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }
