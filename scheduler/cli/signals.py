"""``gridtide signals``: upload prices, carbon and weather, and see how far they reach."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from scheduler.cli import signal_forecasts, signal_quality
from scheduler.cli.client import DEFAULT_SERVER, ServerOption, server_at, text_table
from scheduler.cli.console import JsonOption, emit
from scheduler.cli.sources import fetch, sources
from scheduler.files import read_bytes, read_text

COLUMNS = {
    "SITE": "site",
    "KIND": "kind",
    "NEEDED": "needed",
    "KNOWN UNTIL": "known_until",
    "AHEAD h": "hours_ahead",
    "AGE h": "age_hours",
    "STALE": "stale",
    "FROM": "from",
    "ANSWERED h AGO": "answered_hours",
    "LAST ERROR": "error",
}


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="Fetch prices, carbon ...; upload them.", no_args_is_help=True)
    group.command("upload")(upload)
    group.command("coverage")(coverage)
    group.command("fetch")(fetch)
    group.command("sources")(sources)
    signal_forecasts.register(group)
    signal_quality.register(group)
    app.add_typer(group, name="signals")


def upload(
    file: Annotated[
        Path, typer.Argument(help="Prices, carbon, PV ..., CSV or .parquet.", exists=True)
    ],
    source: Annotated[str | None, typer.Option(help="Default: the name of the file.")] = None,
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """Upload the values of a file. What tells nothing new changes nothing."""
    if file.suffix == ".parquet":
        what, content, media_type = "parquet", read_bytes(file), "application/vnd.apache.parquet"
    else:
        what, content, media_type = "csv", read_text(file).encode(), "text/csv"
    with server_at(server) as api:
        path = f"/v1/signals/{what}"
        stored = api.post_file(path, content, media_type, source=source or file.name)
    said = f"{stored['inserted']} values are new, {stored['unchanged']} were known"
    emit(stored, said, as_json)


def coverage(server: ServerOption = DEFAULT_SERVER, as_json: JsonOption = False) -> None:
    """Show how far every signal reaches, and which are missing."""
    with server_at(server) as api:
        found = api.get("/v1/signals/coverage")
    rows = [
        one
        | {
            "needed": "yes" if one["is_needed"] else "no",
            "stale": "yes" if one["is_stale"] else "no",
        }
        | _feed_cells(one["feed"])
        for one in found
    ]
    emit(found, text_table(COLUMNS, rows), as_json)


def _feed_cells(feed: Mapping[str, Any] | None) -> dict[str, Any]:
    if feed is None:
        return {"from": None, "answered_hours": None, "error": None}
    return {
        "from": f"{feed['source']} {feed['zone']}",
        "answered_hours": feed["age_hours"],
        "error": feed["error"],
    }
