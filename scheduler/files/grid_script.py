"""The script of a simulated virtual power plant, from TOML."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from connectors.types import GridEventNotice
from scheduler.files.fleet import read_spec
from scheduler.specs.grid_event import GridEventSpec, GridScriptSpec, notice_of


def read_grid_script(path: Path) -> list[tuple[datetime, GridEventNotice]]:
    """Read events, each with the instant from which it is known; raises ``BadFile``."""
    events = read_spec(path, GridScriptSpec).events
    return [(event.known_at, _notice(event)) for event in events]


def _notice(event: GridEventSpec) -> GridEventNotice:
    return replace(notice_of(event), is_cancelled=event.is_cancelled)
