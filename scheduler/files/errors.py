"""What is wrong with a file: every problem at once, with its line, field, value and limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

Location = tuple[int | str, ...]


class BadFile(Exception):
    """A file that cannot be used as it is. ``problems`` lists all that was found."""

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        super().__init__(f"{path}: " + "; ".join(problems))
        self.path, self.problems = path, tuple(problems)


def problems_of(
    error: ValidationError,
    line_of: Callable[[Location], int | None],
    field_of: Callable[[Location], str],
) -> list[str]:
    """Say for each error of a spec where it is, what came and what must be."""
    return [
        at_line(line_of(found["loc"]), _sentence(field_of(found["loc"]), found))
        for found in error.errors(include_url=False)
        if not (found["type"] == "too_short" and found["input"])  # for want of items that are right
    ]


def at_line(line: int | None, text: str) -> str:
    """Put the line, where it is known, before ``text``."""
    return text if line is None else f"line {line}: {text}"


def dotted(location: Location) -> str:
    """Write a place in nested data as ``sites[1].grid.import_limit_kw``."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _sentence(field: str, found: Any) -> str:
    message = found["msg"].removeprefix("Value error, ")
    if found["type"] == "missing":
        return f"{field} is missing"
    if found["type"] == "extra_forbidden":
        return f"{field} is not a known field"
    if isinstance(found["input"], dict | list):
        return f"{field}: {message}" if field else message
    return f"{field} = {found['input']!r}: {message[0].lower()}{message[1:]}"
