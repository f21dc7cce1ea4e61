"""``gridtide fleet``: put the sites of a file in force on a server, and show which are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from scheduler.cli.client import DEFAULT_SERVER, ServerOption, server_at, text_table
from scheduler.cli.console import JsonOption, emit
from scheduler.files import read_fleet

COLUMNS = {"SITE": "name", "CLUSTER": "cluster", "POOLS": "pools", "IMPORT KW": "import_limit_kw"}


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="Set and show the sites, on a server.", no_args_is_help=True)
    group.command("put")(put)
    group.command("show")(show)
    app.add_typer(group, name="fleet")


def put(
    file: Annotated[Path, typer.Argument(help="Fleet, TOML.", exists=True)],
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """Put the fleet of a file in the place of the one that is. The same again changes nothing."""
    spec = read_fleet(file)
    with server_at(server) as api:
        version = api.put("/v1/fleet", spec.model_dump(mode="json"))
    emit(version, _text(version), as_json)


def show(server: ServerOption = DEFAULT_SERVER, as_json: JsonOption = False) -> None:
    """Show the sites that new plans are made for; `--json` has all of them."""
    with server_at(server) as api:
        version = api.get("/v1/fleet")
    emit(version, _text(version), as_json)


def _text(version: dict[str, Any]) -> str:
    rows = [
        {
            "name": site["name"],
            "cluster": site["cluster"]["kind"],
            "pools": ", ".join(f"{pool['name']} x {pool['gpus']}" for pool in site["pools"]),
            "import_limit_kw": site["grid"]["import_limit_kw"],
        }
        for site in version["spec"]["sites"]
    ]
    name = version["spec"]["name"]
    return f"fleet {name}, version {version['version']}\n{text_table(COLUMNS, rows)}"
