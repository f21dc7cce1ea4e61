"""Fields of JSON documents, each read as what it has to be, or refused by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connectors.errors import ContractBroken


def an_object(owner: str, document: Any) -> Mapping[str, Any]:
    """Return ``document`` where it is an object."""
    if not isinstance(document, dict):
        raise _broken(owner, "the document", document, "an object")
    return document


def objects(owner: str, document: Any, name: str) -> list[Mapping[str, Any]]:
    """Return the list of objects called ``name``."""
    found = an_object(owner, document).get(name)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise _broken(owner, name, found, "a list of objects")
    return found


def text(owner: str, document: Mapping[str, Any], name: str) -> str:
    """Return the text called ``name``."""
    found = document.get(name)
    if not isinstance(found, str):
        raise _broken(owner, name, found, "a text")
    return found


def number(owner: str, document: Mapping[str, Any], name: str) -> float | None:
    """Return the number called ``name``; ``None`` where it is null or not there."""
    return as_number(owner, name, document.get(name))


def as_number(owner: str, name: str, value: Any) -> float | None:
    """Return ``value`` as a number; ``None`` where it is null."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _broken(owner, name, value, "a finite number or null")
    return float(value)


def instant(owner: str, document: Mapping[str, Any], name: str) -> datetime:
    """Return the instant called ``name``; it must carry an offset."""
    found = text(owner, document, name)
    try:
        read = datetime.fromisoformat(found)
    except ValueError:
        read = None
    if read is None or read.tzinfo is None:
        raise _broken(owner, name, found, "an instant with an offset, as 2026-06-07T00:00Z")
    return read.astimezone(UTC)


def instant_or_none(owner: str, document: Mapping[str, Any], name: str) -> datetime | None:
    """Return the instant called ``name``; ``None`` where it is null or not there."""
    return None if document.get(name) is None else instant(owner, document, name)


def require(owner: str, document: Mapping[str, Any], name: str, *expected: object) -> None:
    """Refuse a document whose field ``name`` is none of ``expected``."""
    if document.get(name) not in expected:
        wanted = " or ".join(repr(one) for one in expected)
        raise _broken(owner, name, document.get(name), wanted)


def _broken(owner: str, name: str, found: object, limit: str) -> ContractBroken:
    shown = repr(found)
    shown = shown if len(shown) <= 120 else f"{shown[:120]}..."
    return ContractBroken(f"{owner}: {name} = {shown}, must be {limit}")
