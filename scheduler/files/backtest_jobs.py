"""Jobs of a backtest as a table: when they came, what they stated, and how long they truly took.

==============================  ======  ==========================================================
column                          needed  says
==============================  ======  ==========================================================
name                            yes     name of the job
submitted_at                    yes     ISO 8601 with an offset
gpus                            yes     GPUs it holds
true_hours                      yes     how long it truly takes on them
stated_hours                    no      how long its planner is told; else drawn, see ``jobs``
deadline_at                     no      ISO 8601 with an offset; else by ``jobs.slack_hours``
pool                            no      needed where the fleet has pools of several names
kw                              no      what it draws; else what the pool says, for each GPU
sites                           no      where it may run, separated by spaces; else anywhere
pausable                        no      true or false
min_run_minutes, restart_...    no      as in tables of jobs to plan (``jobs_csv``)
==============================  ======  ==========================================================

Both lengths are rounded to whole steps of five minutes, one at least. Empty cells mean what a
column left out means.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pyarrow import ArrowException
from pydantic import Field, ValidationError, field_validator

from scheduler.files.errors import BadFile, dotted, problems_of
from scheduler.specs.base import YEAR_HOURS, Instant, Minutes, Name, NonNegative, Spec

MOST_ROWS = 1_000_000
MOST_PROBLEMS = 20

ReadParquet = Callable[[Path, Collection[str], int], pd.DataFrame]
"""Reads the columns that are known of a file of at most so many rows."""

_PAUSES = ("min_run_minutes", "restart_minutes", "restart_kwh", "restart_eur", "max_pauses")


class BacktestJobRow(Spec):
    """One row; ``None``: the cell is empty."""

    name: Name
    submitted_at: Instant
    gpus: Annotated[int, Field(ge=1, le=1_000_000)]
    true_hours: Annotated[float, Field(gt=0, le=YEAR_HOURS)]
    stated_hours: Annotated[float, Field(gt=0, le=YEAR_HOURS)] | None = None
    deadline_at: Instant | None = None
    pool: Name | None = None
    kw: NonNegative | None = None
    sites: tuple[Name, ...] = ()
    pausable: bool = False
    min_run_minutes: Minutes | None = None
    restart_minutes: Minutes | None = None
    restart_kwh: NonNegative | None = None
    restart_eur: NonNegative | None = None
    max_pauses: Annotated[int, Field(ge=0, le=10**9)] | None = None

    @field_validator("sites", mode="before")
    @classmethod
    def _split(cls, sites: Any) -> Any:
        return tuple(sites.split()) if isinstance(sites, str) else sites

    @property
    def pausing(self) -> dict[str, Any]:
        """What it says of its pauses."""
        said = {name: getattr(self, name) for name in _PAUSES}
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True, slots=True)
class LocatedRow:
    """A row with the line of a CSV file, or the row of a Parquet file, that it is in."""

    line: int
    row: BacktestJobRow


def read_backtest_jobs(path: Path, read_parquet: ReadParquet) -> tuple[LocatedRow, ...]:
    """Read a table of jobs, by the ending of its name; raises ``BadFile`` with what is wrong.

    Of many problems the first are told. Of a Parquet file columns nobody knows are left aside.
    """
    known = list(BacktestJobRow.model_fields)
    table, first = _read(path, read_parquet, known)
    problems = [
        f"column {column!r} is unknown; known are {', '.join(known)}"
        for column in table.columns
        if column not in known
    ]
    if table.empty and not problems:
        problems = ["no rows below the header"]
    if problems:
        raise BadFile(path, problems)
    rows, seen = [], dict[str, int]()
    for line, record in enumerate(table.to_dict("records"), start=first):
        cells = {str(key): value for key, cell in record.items() if (value := _cell(cell)) != ""}
        try:
            row = BacktestJobRow.model_validate(cells)
        except ValidationError as error:
            problems += problems_of(error, lambda _, at=line: at, dotted)  # type: ignore[misc]
            continue
        problems += _contradictions(row, line, seen)
        rows.append(LocatedRow(line, row))
    if problems:
        more = len(problems) - MOST_PROBLEMS
        raise BadFile(path, problems[:MOST_PROBLEMS] + ([f"and {more} more"] if more > 0 else []))
    return tuple(rows)


def _contradictions(row: BacktestJobRow, line: int, seen: dict[str, int]) -> Iterable[str]:
    first = seen.setdefault(row.name, line)
    if first != line:
        yield f"line {line}: name = {row.name!r}: occurs twice, first in line {first}"
    if row.pausing and not row.pausable:
        name = next(iter(row.pausing))
        yield f"line {line}: {name} is given, only a job with pausable = true has one"
    if row.deadline_at is not None and row.deadline_at <= row.submitted_at:
        yield (
            f"line {line}: deadline_at = {row.deadline_at.isoformat()}, must be after"
            f" submitted_at = {row.submitted_at.isoformat()}"
        )


def _cell(cell: Any) -> Any:
    """Return a cell as a spec takes it; one that holds nothing is the empty text."""
    if cell is None or cell is pd.NaT or (isinstance(cell, float) and cell != cell):  # noqa: PLR0124 - NaN
        return ""
    if isinstance(cell, pd.Timestamp):
        return cell.to_pydatetime()
    if isinstance(cell, str | bool | int | float | datetime):
        return cell.strip() if isinstance(cell, str) else cell
    return cell.item() if hasattr(cell, "item") else cell


def _read(
    path: Path, read_parquet: ReadParquet, known: Collection[str]
) -> tuple[pd.DataFrame, int]:
    """Return the table, a CSV's as text, and the number of its first row."""
    try:
        if path.suffix == ".parquet":
            table, first = read_parquet(path, known, MOST_ROWS), 1
        elif path.suffix == ".csv":
            table = pd.read_csv(path, dtype=str, keep_default_na=False, nrows=MOST_ROWS + 1)
            first = 2
        else:
            raise BadFile(path, ["its name must end in .csv or .parquet"])
    except OSError as error:
        raise BadFile(path, [f"cannot be read: {error.strerror or error}"]) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise BadFile(path, [f"not a CSV file: {error}"]) from error
    except ArrowException as error:
        raise BadFile(path, [f"not a Parquet file: {error}"]) from error
    if len(table) > MOST_ROWS:
        raise BadFile(path, [f"more than {MOST_ROWS} rows, must be no more"])
    return table, first
