"""Signals from CSV and Parquet files in long form, one row per value.

===================  ===========  ==================================================================
column               needed       says
===================  ===========  ==================================================================
site                 yes          name of the site
signal or kind       yes          a ``SignalKind`` value
start_utc, start_at  one of them  start of the interval, ISO 8601 with an offset
value                yes          the value, in the unit of its kind
unit                 no           checked where given; a price's may name a currency, ``EUR/MWh``
minutes              no           length of the interval; inferred per series where not given
known_at             no           since when the value was known, ISO 8601 with an offset, or empty
===================  ===========  ==================================================================

Other columns are left aside; rows may come in any order. What is not as agreed is refused with
``ContractBroken`` naming file, line (a CSV's line, a Parquet's row), site, kind, value and limit.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pandas as pd
from pyarrow import ArrowException

from connectors.errors import ContractBroken, Rejected, Unavailable
from connectors.signals.frames import Question, signal_frame
from connectors.signals.parquet import read_parquet_table
from connectors.signals.rows import SignalRows
from connectors.source_info import SignalOffer, SourceInfo
from connectors.types import SignalKind, Window

SIGNAL_COLUMNS = ("site", "kind", "start_at", "minutes", "value", "known_at")
MOST_ROWS = 10_000_000
_NAMES = {"signal": "kind", "start_utc": "start_at"}
_KNOWN = frozenset((*SIGNAL_COLUMNS, *_NAMES, "unit"))


def read_signals(path: Path, most_rows: int = MOST_ROWS) -> pd.DataFrame:
    """Read and check every row of the file at ``path``, if it has no more than ``most_rows``.

    Returns
    -------
    pandas.DataFrame
        ``site``, ``kind`` (a ``SignalKind`` value), ``start_at`` (UTC), ``minutes``, ``value``
        [``kind.unit``] and ``known_at`` (UTC, NaT where not stated), ordered by site, kind, start
        and knowledge.

    Raises
    ------
    Unavailable
        The file cannot be read.
    ContractBroken
        It is not what the table above says.
    """
    table, first_line = _read(path, most_rows)
    called = {name: other for other, name in _NAMES.items() if other in table}
    table = table.rename(columns=_NAMES)
    doubled = sorted(set(table.columns[table.columns.duplicated()]))
    if doubled:
        raise ContractBroken(f"{path}: column {doubled[0]!r} occurs twice")
    missing = [name for name in ("site", "kind", "start_at", "value") if name not in table]
    if missing:
        raise ContractBroken(f"{path}: no column {missing[0]!r}, there are {list(table.columns)}")
    if table.empty:
        raise ContractBroken(f"{path}: no rows below the header")
    return SignalRows(path, table, first_line, called).checked()[list(SIGNAL_COLUMNS)]


class SignalFile:
    """Implements ``SignalSource`` over one file, read again whenever it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._signals: pd.DataFrame | None = None
        self._seen: tuple[int, int] | None = None
        self.info = SourceInfo(
            name="file",
            title=f"The file {path.name}",
            document="",
            licence="as of the file",
            offers=tuple(SignalOffer(kind, (5, 15, 30, 60)) for kind in SignalKind),
            zones_are="the sites the file names",
        )

    def time_zone(self, zone: str) -> str:
        """UTC; ``Rejected`` for a site the file does not name."""
        if not (self._current()["site"] == zone).any():
            raise Rejected(f"{self._path}: nothing of site {zone!r}")
        return "UTC"

    async def fetch(self, zone: str, kind: SignalKind, window: Window) -> pd.DataFrame:
        """Values of the site ``zone``, each as it was known last."""
        signals = await asyncio.to_thread(self._current)
        series = signals[(signals["site"] == zone) & (signals["kind"] == kind.value)]
        if series.empty:
            raise Rejected(f"{self._path}: no {kind.value} of site {zone!r}")
        latest = series.sort_values("known_at", kind="stable", na_position="first")
        latest = latest.drop_duplicates("start_at", keep="last").sort_values("start_at")
        inside = (latest["start_at"] >= window.start) & (latest["start_at"] < window.end)
        return signal_frame(
            Question(str(self._path), zone, kind, window),
            pd.DatetimeIndex(latest[inside]["start_at"]),
            latest[inside]["minutes"].to_numpy(),
            latest[inside]["value"].to_numpy(),
            kind.unit,
            latest[inside]["known_at"].to_list(),
        )

    def _current(self) -> pd.DataFrame:
        try:
            stat = self._path.stat()
        except OSError as error:
            raise Unavailable(f"{self._path}: {error.strerror}") from error
        seen = (stat.st_mtime_ns, stat.st_size)
        if self._signals is None or seen != self._seen:
            self._signals = read_signals(self._path)
            self._seen = seen
        return self._signals


def _read(path: Path, most_rows: int) -> tuple[pd.DataFrame, int]:
    """Return the table as it stands there, a CSV's as text, and the number of its first row."""
    try:
        if path.suffix == ".parquet":
            return read_parquet_table(path, _KNOWN, most_rows), 0
        return _read_csv(path, most_rows), 2
    except OSError as error:
        raise Unavailable(f"{path}: {error}") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ContractBroken(f"{path}: not a CSV file: {error}") from error
    except ArrowException as error:
        raise ContractBroken(f"{path}: not a Parquet file: {error}") from error


def _read_csv(path: Path, most_rows: int) -> pd.DataFrame:
    table = pd.read_csv(
        path, dtype=str, keep_default_na=False, skip_blank_lines=False, nrows=most_rows + 1
    )
    if len(table) > most_rows:
        raise ContractBroken(f"{path}: more than {most_rows} rows, must be no more")
    return table
