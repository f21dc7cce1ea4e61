"""At which line of a TOML or JSON file something stands; the parsers do not say."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from scheduler.files.errors import Location

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-]+|\"[^\"]+\")\s*=")


def toml_lines(text: str) -> dict[Location, int]:
    """Line of every table and key of a TOML file, by its place in the parsed data."""
    lines: dict[Location, int] = {}
    count: Counter[Location] = Counter()
    table: Location = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            names = [name.strip().strip('"') for name in header[2].split(".")]
            table = _enter(names, count, is_array=header[1] == "[[")
            lines[table] = number
        elif key := _KEY.match(line):
            lines.setdefault((*table, key[1].strip('"')), number)
    return lines


def _enter(names: list[str], count: Counter[Location], *, is_array: bool) -> Location:
    """Resolve a header to a location: names of arrays of tables are followed by an index."""
    place: Location = ()
    for depth, name in enumerate(names):
        place = (*place, name)
        if is_array and depth == len(names) - 1:
            count[place] += 1
        if count[place]:
            place = (*place, count[place] - 1)
    return place


def nearest_line(lines: Mapping[Location, int], location: Location) -> int | None:
    """Line of ``location``, or of the innermost thing around it whose line is known."""
    for length in range(len(location), 0, -1):
        if location[:length] in lines:
            return lines[location[:length]]
    return None


def json_items(text: str) -> list[tuple[int, Any]]:
    """Items of a JSON array, each with the line it begins at.

    Raises ``json.JSONDecodeError`` where it is not an array of JSON values.
    """
    decoder = json.JSONDecoder()
    position = _skip(text, 0, "[")
    items: list[tuple[int, Any]] = []
    while text[_blank(text, position) : _blank(text, position) + 1] != "]":
        if items:
            position = _skip(text, position, ",")
        position = _blank(text, position)
        line = text.count("\n", 0, position) + 1
        item, position = decoder.raw_decode(text, position)
        items.append((line, item))
    end = _skip(text, position, "]")
    if _blank(text, end) != len(text):
        raise json.JSONDecodeError("expected the end of the file", text, end)
    return items


def _blank(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _skip(text: str, position: int, character: str) -> int:
    position = _blank(text, position)
    if text[position : position + 1] != character:
        raise json.JSONDecodeError(f"expected {character!r}", text, position)
    return position + 1
