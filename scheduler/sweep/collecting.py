"""All cases side by side: results read back, and their tables as one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from scheduler.backtest.keeping import write_whole
from scheduler.sweep.cases import Case
from scheduler.sweep.result import RESULT, TABLES, CaseResult


def results_of(cases: Sequence[Case]) -> tuple[CaseResult, ...]:
    """Read what the cases that are done came to."""
    return tuple(RESULT.validate_json(it.result_file.read_bytes()) for it in cases if it.is_done)


def write_tables(cases: Sequence[Case], out: Path) -> dict[str, Path]:
    """Write ``jobs``, ``slots`` and ``plans`` of all cases that are done, one case at a time."""
    done = [case for case in cases if case.is_done]
    files = {}
    for name in TABLES:
        parts = [case.path / f"{name}.parquet" for case in done]
        if parts:
            files[name] = out / f"{name}.parquet"
            write_whole(files[name], partial(_joined, parts))
    return files


def _joined(parts: Sequence[Path], file: Path) -> None:
    # A column that one case has no value of takes its type from those that have some.
    schemas = [pq.read_schema(part) for part in parts]
    fullest = max(schemas, key=lambda schema: -sum(str(it.type) == "null" for it in schema))
    with pq.ParquetWriter(file, fullest) as writer:
        for part in parts:
            writer.write_table(pq.read_table(part).cast(fullest))


def read_table(case: Case, name: str) -> pd.DataFrame:
    """Read one table of a case that is done."""
    return pd.read_parquet(case.path / f"{name}.parquet")
