"""Answers that are tables: as JSON, or as CSV where address or ``Accept`` header say so."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from fastapi import Depends, Header, Query


class TableFormat(StrEnum):
    """How a table is written."""

    JSON = "json"
    CSV = "csv"


def _format(
    format: Annotated[  # noqa: A002 - the name of the query parameter
        TableFormat | None, Query(description="Overrules the `Accept` header.")
    ] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> TableFormat:
    if format is not None:
        return format
    return TableFormat.CSV if "text/csv" in accept else TableFormat.JSON


FormatDep = Annotated[TableFormat, Depends(_format)]
