"""A year of signals of twenty sites, as published: put into a table by the database itself.

Every day at 12:45 the prices of the next, and at midnight forecasts of four kinds for 96 hours, all
in quarter hours; and every hour carbon intensity once more for the six hours that follow. Rows come
in the order of time, as in earnest: sorted, they would lie closer than they ever do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

N_SITES = 20
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
SITES = tuple(f"site-{number:02}" for number in range(N_SITES))
FORECAST_KINDS = ("base_load", "carbon_intensity", "pv", "wind")
KINDS = ("price", *FORECAST_KINDS)
DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Publication:
    """Quarter hours of one kind, for every site."""

    kind: str
    known_at: datetime
    start_at: datetime
    quarters: int


def publications(day: int) -> Iterator[Publication]:
    """Give what is published on one day."""
    midnight = BEGIN + day * DAY
    for kind in FORECAST_KINDS:
        yield Publication(kind, midnight, midnight, 4 * 96)
    for hour in range(1, 24):
        at = midnight + timedelta(hours=hour)
        yield Publication("carbon_intensity", at, at, 4 * 6)
    yield Publication("price", midnight + timedelta(hours=12.75), midnight + DAY, 96)


def fill(connection: Connection, table: str, n_days: int, *, with_text: bool) -> None:
    """Put the publications of ``n_days`` into ``table``; ``with_text``: instants as text."""
    connection.execute(text("CREATE TEMPORARY TABLE numbers (number INTEGER)"))
    numbers = [{"number": number} for number in range(4 * 96)]
    connection.execute(text("INSERT INTO numbers VALUES (:number)"), numbers)
    connection.execute(text("CREATE TEMPORARY TABLE places (name VARCHAR)"))
    connection.execute(
        text("INSERT INTO places VALUES (:name)"), [{"name": name} for name in SITES]
    )
    statement = text(_statement(connection.dialect.name, table, with_text=with_text))
    for day in range(n_days):
        for one in publications(day):
            given = {
                "kind": one.kind,
                "known": _seconds(one.known_at),
                "start": _seconds(one.start_at),
                "quarters": one.quarters,
                "day": day,
            }
            connection.execute(statement, given)
    for name in ("numbers", "places"):
        connection.execute(text(f"DROP TABLE {name}"))


def _statement(dialect: str, table: str, *, with_text: bool) -> str:
    start, known = "(CAST(:start AS BIGINT) + number * 900)", "CAST(:known AS BIGINT)"
    if dialect == "postgresql":
        start, known = f"to_timestamp({start})", f"to_timestamp({known})"
    elif with_text:
        instant = "strftime('%Y-%m-%d %H:%M:%S', {}, 'unixepoch') || '.000000'"
        start, known = instant.format(start), instant.format(known)
    else:
        start, known = f"{start} * 1000000", f"{known} * 1000000"
    value = "((number * 37 + CAST(:day AS INTEGER) * 11) % 97) * 1.25 + 3.5"
    return (
        f"INSERT INTO {table} (site, kind, start_at, known_at, minutes, value, source)"  # noqa: S608 - all of it stands here
        f" SELECT name, :kind, {start}, {known}, 15, {value}, 'forecasts.example'"
        " FROM places, numbers WHERE number < :quarters"
    )


def _seconds(instant: datetime) -> int:
    return int((instant - _EPOCH).total_seconds())
