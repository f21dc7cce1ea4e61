"""``gridtide signals quality``, ``confirm``, ``reject`` and ``compact``."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from scheduler.cli.client import DEFAULT_SERVER, ServerOption, server_at, text_table
from scheduler.cli.console import JsonOption, NoteOption, emit, working
from scheduler.cli.database import ready_sessions
from scheduler.main import detail_of
from scheduler.services.signal_compaction import compact
from scheduler.settings import Settings
from scheduler.timekeeping import system_now

FlagId = Annotated[str, typer.Argument(help="Id of the flag.")]

COLUMNS = {
    "ID": "id",
    "SITE": "site",
    "KIND": "kind",
    "RULE": "rule",
    "FROM": "start_at",
    "TO": "end_at",
    "VALUES": "n_values",
    "SOURCE": "source",
    "DECIDED": "verdict",
    "WHY": "reason",
}


def register(group: typer.Typer) -> None:
    """Add the commands to the group of signals."""
    group.command("quality")(quality)
    group.command("confirm")(confirm)
    group.command("reject")(reject)
    group.command("compact")(compact_signals)


def quality(
    *,
    decided: Annotated[bool, typer.Option("--all", help="Also what was decided.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """List values that are suspicious: gaps, outliers, and units, hours or signs that are off."""
    with server_at(server) as api:
        found = api.pages("/v1/signals/quality", limit, only_open=not decided)
    emit(found, text_table(COLUMNS, found), as_json)


def confirm(
    flag: FlagId,
    note: NoteOption = "",
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """Say that flagged values are right after all."""
    _decide("confirm", flag, note, server, as_json)


def reject(
    flag: FlagId,
    note: NoteOption = "",
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """Say that flagged values are wrong: no plan made from now on uses them."""
    _decide("reject", flag, note, server, as_json)


def compact_signals(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing, only count.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Thin superseded values that are older than GRIDTIDE_SIGNAL_DETAIL_DAYS, on this machine.

    The clock does so once a day. What a stored plan was made from stays, and so does what was known
    last before each interval began. Ctrl-C stops it between two steps; nothing is lost.
    """
    settings = Settings()
    sessions = ready_sessions(settings)
    now = system_now()
    with working("Thinning signals"):
        done = compact(sessions, now, detail_of(settings), is_dry=dry_run)
    limit = now - timedelta(days=settings.signal_detail_days)
    verb = "would be removed" if dry_run else "removed"
    said = f"{done.removed} of {done.superseded} values superseded before {limit:%Y-%m-%d} {verb}"
    emit(
        {"superseded": done.superseded, "removed": done.removed, "dry_run": dry_run}, said, as_json
    )


def _decide(decision: str, flag: str, note: str, server: str, as_json: bool) -> None:
    with server_at(server) as api:
        decided = api.post(f"/v1/signals/quality/{flag}/{decision}", {"note": note})
    span = f"{decided['start_at']} to {decided['end_at']}"
    said = f"{decided['site']} {decided['kind']} from {span}: {decided['verdict']}"
    emit(decided, said, as_json)
