"""Jobs as a flat table: one line per job with one operating point.

Cells left empty mean what a field left out means. ``sites`` and ``after`` are separated by spaces,
``command`` and ``data_command`` are split as a shell would.
"""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scheduler.files.errors import BadFile, Location, at_line, dotted

Place = tuple[str | int, ...]

_PLACES: dict[str, Place] = {
    "name": ("name",),
    "array": ("array",),
    "tenant": ("tenant",),
    "project": ("project",),
    "priority": ("priority",),
    "work_hours": ("work_hours",),
    "pool": ("operating_points", 0, "pool"),
    "gpus": ("operating_points", 0, "gpus"),
    "kw": ("operating_points", 0, "kw"),
    "speed": ("operating_points", 0, "speed"),
    "power_cap_w": ("operating_points", 0, "power_cap_w"),
    "batch_size": ("operating_points", 0, "batch_size"),
    "release_at": ("release_at",),
    "deadline_at": ("deadline_at",),
    "due_at": ("due_at",),
    "lateness_eur_per_hour": ("lateness_eur_per_hour",),
    "value_eur": ("value_eur",),
    "sites": ("sites",),
    "min_run_minutes": ("pausing", "min_run_minutes"),
    "restart_minutes": ("pausing", "restart_minutes"),
    "restart_kwh": ("pausing", "restart_kwh"),
    "restart_eur": ("pausing", "restart_eur"),
    "max_pauses": ("pausing", "max_pauses"),
    "data_site": ("data", "site"),
    "data_size_gb": ("data", "size_gb"),
    "data_path": ("data", "path"),
    "data_command": ("data", "command"),
    "after": ("after",),
    "command": ("command",),
}
_COLUMNS = {place: column for column, place in _PLACES.items()}
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_SPLIT: dict[str, Callable[[str], list[str]]] = {
    "sites": str.split,
    "after": str.split,
    "command": shlex.split,
    "data_command": shlex.split,
}

CsvRecord = tuple[int, dict[str, Any], tuple[str, ...]]


def csv_records(path: Path, text: str) -> Iterator[CsvRecord]:
    """Line, data for a ``JobSpec``, and problems of the cells, for every job of a CSV file."""
    rows = csv.DictReader(io.StringIO(text, newline=""), restkey="", restval="")
    _require_known_columns(path, rows.fieldnames or [])
    for row in rows:
        line = rows.line_num
        cells = {column: cell.strip() for column, cell in row.items() if column and cell.strip()}
        problems: list[str] = []
        if "" in row:
            problems.append(f"more cells than the {len(rows.fieldnames or [])} columns")
        data = _nested(cells, problems)
        yield line, data, tuple(at_line(line, problem) for problem in problems)


def field_of_column(location: Location) -> str:
    """Name the column a place of a ``JobSpec`` came from."""
    return _COLUMNS.get(location) or _COLUMNS.get(location[:1]) or dotted(location)


def _require_known_columns(path: Path, columns: Any) -> None:
    known = [*_PLACES, "pausable"]
    problems = [
        f"line 1: column {column!r} is unknown; known are {', '.join(known)}"
        for column in columns
        if column not in known
    ]
    problems += [
        f"line 1: column {column!r} occurs twice"
        for column in dict.fromkeys(columns)
        if list(columns).count(column) > 1
    ]
    if not columns:
        problems.append("line 1: there is no header line")
    if problems:
        raise BadFile(path, problems)


def _nested(cells: dict[str, str], problems: list[str]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    point: dict[str, str] = {}
    is_pausable = _flag(cells.pop("pausable", "false"), problems)
    for column, cell in cells.items():
        group, *inside = _PLACES[column]
        if group == "operating_points":
            point[str(inside[-1])] = cell
        elif inside:
            if group == "pausing" and not is_pausable:
                problems.append(f"{column} = {cell!r}: only a job with pausable = true has one")
            data.setdefault(str(group), {})[inside[0]] = _split(column, cell, problems)
        else:
            data[str(group)] = _split(column, cell, problems)
    if is_pausable:
        data.setdefault("pausing", {})
    data["operating_points"] = [point]
    return data


def _split(column: str, cell: str, problems: list[str]) -> str | list[str]:
    if column not in _SPLIT:
        return cell
    try:
        return _SPLIT[column](cell)
    except ValueError as error:
        problems.append(f"{column} = {cell!r}: {str(error).lower()}")
        return []


def _flag(cell: str, problems: list[str]) -> bool:
    if cell.lower() not in _WORDS:
        problems.append(f"pausable = {cell!r}: must be true or false")
    return _WORDS.get(cell.lower(), False)
