"""The fleet, from TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from scheduler.files.errors import BadFile, Location, at_line, dotted, problems_of
from scheduler.files.located import nearest_line, toml_lines
from scheduler.files.tariffs import with_tariff_documents
from scheduler.specs import FleetSpec
from scheduler.specs.base import Spec

S = TypeVar("S", bound=Spec)


def read_toml(path: Path) -> tuple[dict[str, Any], str]:
    """Parse a TOML file; return its data and its text."""
    text = read_text(path)
    try:
        return tomllib.loads(text), text
    except tomllib.TOMLDecodeError as error:
        raise BadFile(path, [f"not TOML: {error}"]) from error


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFile(path, [f"not UTF-8: {error.reason} at byte {error.start}"]) from error
    except OSError as error:
        raise BadFile(path, [f"cannot be read: {error.strerror}"]) from error


def read_bytes(path: Path) -> bytes:
    """Read a file as it is."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadFile(path, [f"cannot be read: {error.strerror}"]) from error


def read_fleet(path: Path) -> FleetSpec:
    """Read a fleet, with the tariffs that it names; raises ``BadFile`` with all that is wrong."""
    data, text = read_toml(path)
    lines = toml_lines(text)
    data, unread = with_tariff_documents(path.parent, data)
    if unread:
        raise BadFile(path, [at_line(nearest_line(lines, place), what) for place, what in unread])
    return _valid(FleetSpec, path, data, lines)


def read_spec(path: Path, spec: type[S]) -> S:
    """Read a file of ``spec`` that names no others; raises ``BadFile`` with all that is wrong."""
    data, text = read_toml(path)
    return _valid(spec, path, data, toml_lines(text))


def _valid(spec: type[S], path: Path, data: object, lines: dict[Location, int]) -> S:
    try:
        return spec.model_validate(data)
    except ValidationError as error:
        problems = problems_of(error, lambda place: nearest_line(lines, place), dotted)
        raise BadFile(path, problems) from error
