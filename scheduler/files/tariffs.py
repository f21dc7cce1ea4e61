"""Tariffs that a fleet file names: documents of the Utility Rate Database, in JSON, beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scheduler.files.errors import Location, dotted

FILE_KEY, DOCUMENT_KEY = "urdb_file", "urdb"
MOST_BYTES = 4 * 1024 * 1024

Problem = tuple[Location, str]
"""Where in the fleet, and what is wrong there."""


def with_tariff_documents(
    folder: Path, fleet: dict[str, Any]
) -> tuple[dict[str, Any], list[Problem]]:
    """Put the document in the place of every ``urdb_file``; paths are relative to ``folder``.

    What is wrong with a document itself is found where the fleet is validated.
    """
    sites = fleet.get("sites")
    if not isinstance(sites, list):
        return fleet, []
    problems: list[Problem] = []
    renewed = [_with_document(folder, k, site, problems) for k, site in enumerate(sites)]
    return fleet | {"sites": renewed}, problems


def _with_document(folder: Path, index: int, site: Any, problems: list[Problem]) -> Any:
    tariff = site.get("tariff") if isinstance(site, dict) else None
    if not isinstance(tariff, dict) or FILE_KEY not in tariff:
        return site
    place: Location = ("sites", index, "tariff", FILE_KEY)
    name = tariff[FILE_KEY]
    if not isinstance(name, str) or DOCUMENT_KEY in tariff:
        must_be = "left out beside urdb" if isinstance(name, str) else "the path of a file"
        problems.append((place, f"{dotted(place)} = {name!r}: must be {must_be}"))
        return site
    try:
        document = _read(folder / name)
    except _Unreadable as error:
        problems.append((place, f"{dotted(place)} = {name!r}: {error}"))
        return site
    rest = {key: value for key, value in tariff.items() if key != FILE_KEY}
    return site | {"tariff": rest | {DOCUMENT_KEY: document}}


class _Unreadable(Exception):
    """A file that is no document."""


def _read(path: Path) -> Any:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise _Unreadable(f"{size} bytes, must be <= {MOST_BYTES}")
        return json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=_no_number)
    except OSError as error:
        raise _Unreadable(f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _Unreadable(f"not UTF-8: {error.reason} at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise _Unreadable(f"line {error.lineno}: not JSON: {error.msg}") from error
    except RecursionError as error:
        raise _Unreadable("not a tariff: nested too deeply") from error


def _no_number(text: str) -> Any:
    raise _Unreadable(f"{text} is not a number")
