"""``gridtide signals fetch`` and ``sources``: what others publish, without a server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

import pandas as pd
import typer

from connectors.errors import ConnectorError, SettingMissing, Unavailable, variable_of
from connectors.protocols import SignalSource
from connectors.types import SignalKind, Window
from scheduler.cli.client import text_table
from scheduler.cli.console import (
    JsonOption,
    UserError,
    as_user_error,
    emit,
    print_error,
    working,
)
from scheduler.files import read_fleet
from scheduler.settings import Settings
from scheduler.signal_sources import connect_source, source_infos
from scheduler.timekeeping import system_now

LONGEST = timedelta(days=366)
_DAY = timedelta(days=1)
_DAY_ALONE = re.compile(r"\d{4}-\d{2}-\d{2}")
_CSV = ("site", "kind", "start_at", "minutes", "value", "unit", "known_at")
_WHEN = "Day of the zone, as 2026-06-07, or instant with an offset."

T = TypeVar("T")

KindOption = Annotated[
    list[SignalKind] | None, typer.Option("--kind", help="Default: all that it has there.")
]


def sources(as_json: JsonOption = False) -> None:
    """List the sources there are, what they have, and what they need."""
    infos = source_infos(Settings(), system_now)
    rows = [
        {
            "source": info.name,
            "kinds": ", ".join(offer.kind.value for offer in info.offers) or "of described plants",
            "needs": ", ".join(map(variable_of, info.needs)),
            "zones": info.zones_are,
            "document": info.document,
            "licence": info.licence,
        }
        for info in infos
    ]
    columns = {"SOURCE": "source", "NEEDS": "needs", "KINDS": "kinds", "ZONES": "zones"}
    emit(rows, text_table(columns | {"DOCUMENT": "document"}, rows), as_json)


def fetch(
    source: Annotated[str, typer.Option(help="See gridtide signals sources.")],
    zone: Annotated[str, typer.Option(help="As the source calls it, such as DE-LU.")],
    kind: KindOption = None,
    since: Annotated[str | None, typer.Option("--from", help=f"{_WHEN} Default: today.")] = None,
    until: Annotated[
        str | None, typer.Option("--to", help=f"{_WHEN} A day counts. Default: tomorrow.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write a CSV for signals upload.")] = None,
    site: Annotated[str | None, typer.Option(help="Site in the CSV. Default: the zone.")] = None,
    fleet: Annotated[
        Path | None, typer.Option(help="TOML that describes PV and wind of sites.", exists=True)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch what a source publishes of a zone; needs neither a server nor a fleet.

    With a fleet the zone may be a site that describes its PV or wind, as of open-meteo.
    What comes is shown, or written, though another kind fails; the exit code tells of that.
    """
    sites = None if fleet is None else read_fleet(fleet)
    asked = connect_source(Settings(), source, system_now, sites)
    time_zone = asked.time_zone(zone)
    window = _window(since, until, ZoneInfo(time_zone))
    kinds = kind or asked.info.kinds_in(zone)
    with working(f"Asking {source}"):
        frames, failures = asyncio.run(_fetch_all(asked, zone, kinds, window))
    if frames:
        table = pd.concat(frames, ignore_index=True)
        if out is not None:
            _write(table.assign(site=site or zone), out)
        said = (
            f"{len(table)} values of {zone} written to {out}" if out else _shown(table, time_zone)
        )
        emit(_records(table) if as_json else None, said, as_json)
    for failure in failures[1:] if not frames else failures:
        print_error(failure)
    if failures:
        raise failures[0] if not frames else typer.Exit(failures[0].code)


async def _fetch_all(
    source: SignalSource, zone: str, kinds: Sequence[SignalKind], window: Window
) -> tuple[list[pd.DataFrame], list[UserError]]:
    """Fetch one kind after the other; the rate of the source is one for all of them."""
    frames: list[pd.DataFrame] = []
    failures: list[UserError] = []
    for kind in kinds:
        try:
            frame = await source.fetch(zone, kind, window)
        except ConnectorError as error:
            failures.append(as_user_error(error))
            if isinstance(error, Unavailable | SettingMissing) and not frames:
                break  # said once, and not after as many patient tries as there are kinds
        else:
            frames.append(frame.assign(kind=kind.value))
    return frames, failures


def _window(since: str | None, until: str | None, zone: ZoneInfo) -> Window:
    today = system_now().astimezone(zone).date()
    start = _midnight(today, zone) if since is None else _instant(since, zone, is_end=False)
    if until is None:
        end = max(_midnight(today + 2 * _DAY, zone), start + _DAY)
    else:
        end = _instant(until, zone, is_end=True)
    if not timedelta(0) < end - start <= LONGEST:
        raise typer.BadParameter(
            f"--from {start.isoformat()} --to {end.isoformat()}: must be within (0, {LONGEST.days}]"
            " days"
        )
    return Window(start, end)


def _instant(text: str, zone: ZoneInfo, *, is_end: bool) -> datetime:
    """Read a day of the zone, its end where it ends the window, or an instant."""
    if _DAY_ALONE.fullmatch(text):
        day = _read(date.fromisoformat, text)
        return _midnight(day + _DAY if is_end else day, zone)
    instant = _read(datetime.fromisoformat, text)
    if instant.utcoffset() is None:
        raise typer.BadParameter(f"{text!r} has no offset; write {text}Z for UTC")
    return instant.astimezone(UTC)


def _read(reader: Callable[[str], T], text: str) -> T:
    try:
        return reader(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is neither a day nor an instant") from error


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _write(table: pd.DataFrame, path: Path) -> None:
    instants = ("start_at", "known_at")
    text = {name: table[name].map(_iso) for name in instants}
    try:
        table.assign(**text).to_csv(path, columns=list(_CSV), index=False)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error


def _records(table: pd.DataFrame) -> list[dict[str, object]]:
    known = table["known_at"].astype(object).where(table["known_at"].notna(), None)
    return [
        {str(name): value for name, value in row.items()}
        for row in table.assign(known_at=known).to_dict("records")
    ]


def _iso(instant: pd.Timestamp) -> str:
    return "" if pd.isna(instant) else instant.isoformat()


def _shown(table: pd.DataFrame, time_zone: str) -> str:
    """Set the values side by side, by the time of the zone."""
    if table.empty:
        return "Nothing is published of that time yet."
    units = table.groupby("kind", sort=False)["unit"].first()
    values = table.pivot_table("value", "start_at", "kind", sort=True)
    columns = {f"TIME ({time_zone})": "at"}
    columns |= {f"{kind} [{unit}]": str(kind) for kind, unit in units.items()}
    rows = [
        {"at": start.tz_convert(time_zone).isoformat(timespec="minutes")}
        | {str(kind): float(value) for kind, value in row.items() if pd.notna(value)}
        for start, row in values.iterrows()
        if isinstance(start, pd.Timestamp)
    ]
    return text_table(columns, rows)
