"""``gridtide signals forecasts`` and ``forecast``: what Gridtide itself expected, and when."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from connectors.types import SignalKind
from scheduler.cli.client import DEFAULT_SERVER, ServerOption, server_at, text_table
from scheduler.cli.console import JsonOption, emit, parse_instant

COLUMNS = {
    "ISSUED": "issued_at",
    "SITE": "site",
    "KIND": "kind",
    "FROM": "start_at",
    "TO": "end_at",
    "METHOD": "method",
    "ASKED FOR": "asked",
}


def register(group: typer.Typer) -> None:
    """Add the commands to the group of signals."""
    group.command("forecasts")(forecasts)
    group.command("forecast")(forecast)


def forecasts(
    *,
    site: Annotated[str | None, typer.Option(help="Of one site.")] = None,
    kind: Annotated[SignalKind | None, typer.Option(help="Of one kind.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")] = 20,
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """List the forecasts that Gridtide issued for what is not published, newest first."""
    wanted = None if kind is None else kind.value
    with server_at(server) as api:
        found = api.pages("/v1/signals/forecasts", limit, site=site, kind=wanted)
    emit(found, text_table(COLUMNS, found), as_json)


def forecast(
    site: Annotated[str, typer.Argument(help="Name of a site.")],
    kind: Annotated[SignalKind, typer.Argument(help="Kind of signal.")],
    known_at: Annotated[
        datetime | None,
        typer.Option(
            parser=parse_instant,
            metavar="INSTANT",
            help="The one issued last by then, as 2026-06-07T12:00Z.",
        ),
    ] = None,
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """Show the last forecast of a signal, with quantiles, beside what is published by now."""
    asked = None if known_at is None else known_at.isoformat()
    with server_at(server) as api:
        found = api.get("/v1/signals/forecasts/latest", site=site, kind=kind.value, known_at=asked)
    names = [f"P{100 * level:g}" for level in found["levels"]]
    columns = {"START": "start_at"} | {name: name for name in names} | {"PUBLISHED": "published"}
    rows = [one | dict(zip(names, one["quantiles"], strict=True)) for one in found["intervals"]]
    title = (
        f"{site} {kind.value} [{found['unit']}], issued {found['issued_at']} by {found['method']}"
    )
    lines = (title, *found["notes"], text_table(columns, rows))
    emit(found, "\n".join(lines), as_json)
