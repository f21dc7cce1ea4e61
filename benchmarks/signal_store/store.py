"""How long questions take, before and now, and how much room values take.

SQLite works in this process: its time is that of the processor, whatever else the machine does.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Engine, text

from benchmarks.signal_store.year import BEGIN, DAY, FORECAST_KINDS, SITES, fill
from connectors.types import SignalKind, Window
from scheduler.db.session import SessionFactory, make_engine, make_session_factory, transaction
from scheduler.db.upgrade import upgrade
from scheduler.services import fleet as fleets
from scheduler.services.coverage import coverage
from scheduler.services.signal_compaction import Compacted, Detail, compact
from scheduler.services.signals import SignalPoint, insert_values, latest_values, signals_frame
from scheduler.specs import FleetSpec

Clock = Callable[[], float]

_ASKED = 5
_ASKED_BEFORE = 2
_FOUR_DAYS = timedelta(days=4)
_BEFORE = (
    "SELECT site, kind, start_at, minutes, value, known_at FROM (SELECT site, kind, start_at,"
    " minutes, value, known_at, row_number() OVER (PARTITION BY site, kind, start_at ORDER BY"
    " known_at DESC) AS place FROM {table} WHERE start_at >= :start AND start_at < :end AND"
    " known_at <= :at) AS every WHERE place = 1 ORDER BY site, kind, start_at"
)
_COVERAGE_BEFORE = (
    "SELECT site, kind, count(DISTINCT start_at), min(start_at), max(start_at), max(known_at)"
    " FROM {table} GROUP BY site, kind"
)
_OLD_TABLE = (
    "CREATE TABLE before (site VARCHAR NOT NULL, kind VARCHAR(40) NOT NULL, start_at DATETIME NOT"
    " NULL, known_at DATETIME NOT NULL, minutes INTEGER NOT NULL, value DOUBLE NOT NULL, source"
    " VARCHAR NOT NULL, PRIMARY KEY (site, kind, start_at, known_at))"
)


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured on one database [s], [byte]; ``before`` is as it was before.

    Seconds are of the processor on SQLite, and by the clock on PostgreSQL.
    """

    database: str
    n_days: int
    n_values: int
    frame_s: float
    frame_before_s: float
    frame_rows: int
    latest_s: float
    coverage_s: float
    coverage_before_s: float
    insert_prices_s: float
    insert_forecasts_s: float
    bytes_per_value: float
    bytes_per_value_before: float
    compacted: Compacted
    compact_s: float


def fleet_of_twenty() -> FleetSpec:
    """Twenty sites with a plant of each kind."""
    sites = [
        {
            "name": name,
            "time_zone": "Europe/Berlin",
            "grid": {"import_limit_kw": 1000},
            "pools": [{"name": "h100", "gpus": 64}],
            "has_pv": True,
            "has_wind": True,
        }
        for name in SITES
    ]
    return FleetSpec.model_validate({"sites": sites})


def measure(url: str, n_days: int, folder: Path) -> Figures:
    """Fill a fresh database, and ask it."""
    upgrade(url)
    engine = make_engine(url)
    sessions = make_session_factory(engine)
    clock = time.process_time if engine.dialect.name == "sqlite" else time.perf_counter
    on_sqlite = engine.dialect.name == "sqlite"
    with transaction(sessions) as session:
        fleets.replace_fleet(session, fleet_of_twenty(), "benchmark", BEGIN)
    with engine.begin() as connection:
        fill(connection, "signal_value", n_days, with_text=False)
        connection.execute(text(_SERIES.format(end=_END[engine.dialect.name])))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    size = _size(engine, "signal_value")
    old, table, old_size = engine, "signal_value", 0.0
    if on_sqlite:
        old, table = make_engine(f"sqlite:///{folder}/before.db"), "before"
        with old.begin() as connection:
            connection.execute(text(_OLD_TABLE))
            connection.execute(text("CREATE INDEX ix_before_known ON before (known_at)"))
            fill(connection, "before", n_days, with_text=True)
        old_size = _size(old, "before")
    else:
        with engine.begin() as connection:
            connection.execute(text("CREATE INDEX ix_known ON signal_value (known_at)"))
        old_size = _size(engine, "signal_value")
    before = [_ask_before(clock, old, table, at) for at in _instants(n_days)[:_ASKED_BEFORE]]
    coverage_before = _timed(clock, lambda: _run(old, _COVERAGE_BEFORE.format(table=table), {}))
    if not on_sqlite:
        with engine.begin() as connection:
            connection.execute(text("DROP INDEX ix_known"))
    n_values = _run(engine, "SELECT count(*) FROM signal_value", {})[0][0]
    figures = _measure_now(clock, sessions, n_days)
    began = clock()
    compacted = compact(sessions, BEGIN + n_days * DAY, Detail(days=14, grid_hours=6))
    compact_s = clock() - began
    return Figures(
        database="SQLite" if on_sqlite else "PostgreSQL",
        n_days=n_days,
        n_values=n_values,
        frame_before_s=min(before),
        coverage_before_s=coverage_before,
        bytes_per_value=size / n_values,
        bytes_per_value_before=old_size / n_values,
        compacted=compacted,
        compact_s=compact_s,
        **figures,
    )


_SERIES = (
    "INSERT INTO signal_series (site, kind, n_intervals, first_start_at, last_end_at,"
    " newest_known_at, examined_at) SELECT site, kind, count(DISTINCT start_at), {end}"
    " FROM signal_value GROUP BY site, kind"
)
_AS_TEXT = "strftime('%Y-%m-%d %H:%M:%S', {} / 1000000, 'unixepoch') || '.000000'"
_END = {
    "sqlite": ", ".join(
        _AS_TEXT.format(one)
        for one in ("min(start_at)", "max(start_at) + 900000000", "max(known_at)", "max(known_at)")
    ),
    "postgresql": "min(start_at), max(start_at) + interval '15 minutes', max(known_at),"
    " max(known_at)",
}


def _measure_now(clock: Clock, sessions: SessionFactory, n_days: int) -> dict[str, Any]:
    asked, latest, rows = [], [], 0
    for at in _instants(n_days):
        with transaction(sessions) as session:
            window = Window(at, at + _FOUR_DAYS)
            began = clock()
            rows = len(signals_frame(session, window, at))
            asked.append(clock() - began)
            began = clock()
            latest_values(session, SITES[7], SignalKind.CARBON_INTENSITY, window, at)
            latest.append(clock() - began)
    at = BEGIN + n_days * DAY + timedelta(hours=12.75)
    with transaction(sessions) as session:
        coverage_s = _timed(clock, lambda: coverage(session, at))
    midnight, next_midnight = BEGIN + n_days * DAY, BEGIN + (n_days + 1) * DAY
    return {
        "frame_s": min(asked),
        "frame_rows": rows,
        "latest_s": min(latest),
        "coverage_s": coverage_s,
        "insert_prices_s": _insert(clock, sessions, ("price",), at, next_midnight, 96),
        "insert_forecasts_s": _insert(clock, sessions, FORECAST_KINDS, at, midnight, 384),
    }


def _insert(
    clock: Clock,
    sessions: SessionFactory,
    kinds: tuple[str, ...],
    at: datetime,
    start: datetime,
    n: int,
) -> float:
    """Store one publication of every site, judged as it comes, each kind in one upload."""
    took = 0.0
    for kind in kinds:
        points = [
            SignalPoint(
                site, SignalKind(kind), start + quarter * DAY / 96, 15, float(quarter % 97), at
            )
            for site in SITES
            for quarter in range(n)
        ]
        with transaction(sessions) as session:
            began = clock()
            insert_values(session, points, "forecasts.example", at)
            took += clock() - began
    return took


def _ask_before(clock: Clock, engine: Engine, table: str, at: datetime) -> float:
    given: dict[str, Any] = {"start": at - DAY, "end": at + _FOUR_DAYS, "at": at}
    if engine.dialect.name == "sqlite":
        given = {name: f"{value:%Y-%m-%d %H:%M:%S.%f}" for name, value in given.items()}
    return _timed(clock, lambda: pd.DataFrame(_run(engine, _BEFORE.format(table=table), given)))


def _run(engine: Engine, statement: str, given: dict[str, Any]) -> Any:
    with engine.connect() as connection:
        return connection.execute(text(statement), given).all()


def _instants(n_days: int) -> list[datetime]:
    draw = random.Random(2025)
    minutes = [draw.randrange(5 * 1440, (n_days - 5) * 1440) for _ in range(_ASKED)]
    return [BEGIN + timedelta(minutes=minute) for minute in minutes]


def _size(engine: Engine, table: str) -> float:
    """Room a table takes with its indices [byte]."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            asked = text(f"SELECT pg_total_relation_size('{table}')")
            return float(connection.scalar(asked) or 0)
        pages = connection.scalar(text("PRAGMA page_count")) or 0
        return float(pages * (connection.scalar(text("PRAGMA page_size")) or 0))


def _timed(clock: Clock, do: Callable[[], object]) -> float:
    began = clock()
    do()
    return clock() - began
