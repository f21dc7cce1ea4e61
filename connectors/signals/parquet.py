"""The table of a Parquet file, bounded before any of it is unpacked.

A Parquet file of a kilobyte can hold a thousand million rows, or one text of a gigabyte that each
of them repeats: rows and sizes are therefore read from its footer, only columns that are known are
unpacked, and texts stay the dictionaries that they are stored as until their lengths are seen.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.parquet import ParquetFile, read_schema

from connectors.errors import ContractBroken

_MOST_BYTES_PER_ROW = 512  # of all columns together, unpacked
_LEAST_BYTES = 1024 * 1024  # a file of few rows may have as much whatever
_LONGEST_TEXT = 200


def read_parquet_table(path: Path, known: Collection[str], most_rows: int) -> pd.DataFrame:
    """Read the columns of the file at ``path`` that are in ``known``.

    Raises
    ------
    ContractBroken
        It has more rows, or is larger unpacked, than is taken, or a column holds lists or tables.
    pyarrow.ArrowInvalid, OSError
        It is no Parquet file, or cannot be read.
    """
    schema = read_schema(path)
    texts = [field.name for field in schema if field.name in known and _is_text(field.type)]
    with ParquetFile(path, read_dictionary=texts) as file:
        _refuse_too_much(path, file.metadata, most_rows)
        columns = [name for name in schema.names if name in known]
        for name in columns:
            _refuse_nested(path, schema, name)
        table = file.read(columns=sorted(set(columns), key=columns.index))
    for name in table.column_names:
        _refuse_long_texts(path, name, table[name])
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    return frame


def _refuse_too_much(path: Path, metadata: Any, most_rows: int) -> None:
    rows = metadata.num_rows
    if rows > most_rows:
        raise ContractBroken(f"{path}: {rows} rows, must be <= {most_rows}")
    groups = (metadata.row_group(n) for n in range(metadata.num_row_groups))
    unpacked = sum(group.total_byte_size for group in groups)
    most = max(_LEAST_BYTES, rows * _MOST_BYTES_PER_ROW)
    if unpacked > most:
        raise ContractBroken(
            f"{path}: {unpacked} bytes unpacked, must be <= {most} for {rows} rows"
        )


def _refuse_nested(path: Path, schema: Any, name: str) -> None:
    for field in schema:
        if field.name == name and pa.types.is_nested(field.type):
            raise ContractBroken(
                f"{path}: column {name!r} is of {field.type}, must be plain values"
            )


def _refuse_long_texts(path: Path, name: str, column: Any) -> None:
    for chunk in column.chunks:
        values = chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk
        if _is_text(values.type) and len(values):
            longest = pc.max(pc.binary_length(values)).as_py() or 0
            if longest > _LONGEST_TEXT:
                raise ContractBroken(
                    f"{path}: column {name!r} has a text of {longest} bytes,"
                    f" must be <= {_LONGEST_TEXT}"
                )


def _is_text(kind: Any) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )
