"""Jobs, from CSV (one flat line per job), JSON, JSON lines or TOML (everything a job can say)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from scheduler.files.errors import BadFile, Location, at_line, dotted, problems_of
from scheduler.files.fleet import read_text, read_toml
from scheduler.files.jobs_csv import csv_records, field_of_column
from scheduler.files.located import json_items, nearest_line, toml_lines
from scheduler.specs import JobArraySpec, JobSpec
from scheduler.specs.job import MOST_PREDECESSORS
from scheduler.specs.job_array import with_tasks


@dataclass(frozen=True, slots=True)
class Record:
    """One job as written, where each of its fields stands, and what the file calls them."""

    data: Any
    line_of: Callable[[Location], int | None]
    field_of: Callable[[Location], str] = dotted
    problems: tuple[str, ...] = ()


def read_jobs(path: Path) -> tuple[JobSpec, ...]:
    """Read jobs in the order of the file, by the ending of its name.

    In the place of an array come its tasks; a job after an array is after all of them. Raises
    ``BadFile`` with everything that is wrong: fields, names used twice, predecessors that are not
    in the file.
    """
    readers = {".csv": _from_csv, ".json": _from_json, ".jsonl": _from_lines, ".toml": _from_toml}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        endings = ", ".join(readers)
        raise BadFile(path, [f"its name must end in one of {endings}"])
    jobs: list[tuple[int | None, JobSpec]] = []
    problems: list[str] = []
    for record in reader(path):
        problems += record.problems
        try:
            job = _kind_of(record.data).model_validate(record.data)
        except ValidationError as error:
            problems += problems_of(error, record.line_of, record.field_of)
        else:
            jobs.append((record.line_of(()), job))
    if not problems:
        arrays = {job.name: job.jobs() for _, job in jobs if isinstance(job, JobArraySpec)}
        problems = list(_contradictions(jobs, arrays))
    if problems:
        raise BadFile(path, problems)
    awaiting = (
        job.model_copy(update={"after": with_tasks(job.after, arrays)})
        for _, one in jobs
        for job in arrays.get(one.name, (one,))
    )
    return tuple(awaiting)


def _kind_of(data: Any) -> type[JobSpec]:
    return JobArraySpec if isinstance(data, Mapping) and "array" in data else JobSpec


def _contradictions(
    jobs: list[tuple[int | None, JobSpec]], arrays: Mapping[str, Sequence[JobSpec]]
) -> Iterator[str]:
    first: dict[str, int | None] = {}
    for line, job in jobs:
        for name in (job.name, *(task.name for task in arrays.get(job.name, ()))):
            if name in first:
                where = "" if first[name] is None else f", first in line {first[name]}"
                yield at_line(line, f"name = {name!r}: occurs twice{where}")
            first.setdefault(name, line)
    for line, job in jobs:
        for name in job.after:
            if name not in first:
                yield at_line(line, f"after = {name!r}: there is no such job in the file")
        n_awaited = len(with_tasks(job.after, arrays))
        if n_awaited > MOST_PREDECESSORS:
            limit = f"must be <= {MOST_PREDECESSORS}"
            yield at_line(line, f"after: {n_awaited} jobs, tasks of arrays each, {limit}")


def _from_csv(path: Path) -> Iterator[Record]:
    for line, data, problems in csv_records(path, read_text(path)):
        yield Record(data, _always(line), field_of_column, problems)


def _from_json(path: Path) -> Iterator[Record]:
    text = read_text(path)
    try:
        items = json_items(text)
    except json.JSONDecodeError as error:
        raise BadFile(path, [f"line {error.lineno}: not a JSON array: {error.msg}"]) from error
    for line, data in items:
        yield Record(data, _always(line))


def _from_lines(path: Path) -> Iterator[Record]:
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        if not text.strip():
            continue
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise BadFile(path, [f"line {line}: not JSON: {error.msg}"]) from error
        yield Record(data, _always(line))


def _from_toml(path: Path) -> Iterator[Record]:
    data, text = read_toml(path)
    unknown = sorted(data.keys() - {"jobs"})
    if unknown or not isinstance(data.get("jobs"), list):
        found = f", found {', '.join(unknown)}" if unknown else ""
        raise BadFile(path, [f"must hold [[jobs]] tables and nothing else{found}"])
    lines = toml_lines(text)
    for position, job in enumerate(data["jobs"]):
        yield Record(job, _under(lines, ("jobs", position)))


def _always(line: int) -> Callable[[Location], int]:
    return lambda _place: line


def _under(lines: Mapping[Location, int], place: Location) -> Callable[[Location], int | None]:
    return lambda inside: nearest_line(lines, (*place, *inside))
