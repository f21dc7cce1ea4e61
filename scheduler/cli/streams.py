"""``gridtide streams``: how what comes in by streams stands, and what could not be used of it."""

from __future__ import annotations

from typing import Annotated

import typer

from scheduler.cli.client import DEFAULT_SERVER, ServerOption, server_at, text_table
from scheduler.cli.console import JsonOption, emit

STREAMS = {
    "STREAM": "stream",
    "STORED": "stored",
    "UNCHANGED": "unchanged",
    "DUPLICATES": "duplicates",
    "DEAD": "dead_letters",
    "LAST MESSAGE": "received_at",
    "DELAY s": "delay_s",
    "WAITING": "backlog",
    "PROBLEM": "problem",
}
DEAD_LETTERS = {
    "RECEIVED": "received_at",
    "STREAM": "stream",
    "SUBJECT": "subject",
    "REASON": "reason",
}
TELEMETRY = {
    "SITE": "site",
    "SERIES": "series",
    "DEVICE": "device",
    "AT": "at",
    "VALUE": "value",
    "UNIT": "unit",
    "SOURCE": "source",
}


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="What comes in by streams, on a server.", no_args_is_help=True)
    group.command("status")(status)
    group.command("dead-letters")(dead_letters)
    group.command("telemetry")(telemetry)
    app.add_typer(group, name="streams")


def status(server: ServerOption = DEFAULT_SERVER, as_json: JsonOption = False) -> None:
    """Show every way in: what came by it, how late, and what stands in its way."""
    with server_at(server) as api:
        found = api.get("/v1/streams")
    emit(found, text_table(STREAMS, found), as_json)


def dead_letters(
    stream: Annotated[str | None, typer.Option(help="Of one way in: mqtt, kafka, http.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")] = 20,
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """List messages that could not be used, newest first, with the reason; --json shows them."""
    with server_at(server) as api:
        found = api.pages("/v1/dead-letters", limit, stream=stream)
    emit(found, text_table(DEAD_LETTERS, found), as_json)


def telemetry(
    site: Annotated[str | None, typer.Option(help="Of one site.")] = None,
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """Show the last reading of every device that told something in the last hour."""
    with server_at(server) as api:
        found = api.get("/v1/telemetry", site=site)
    emit(found, text_table(TELEMETRY, found), as_json)
