"""The script of a simulated virtual power plant, from TOML."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from connectors.types import GridEventNotice
from scheduler.files.errors import BadFile, dotted, problems_of
from scheduler.files.fleet import read_toml
from scheduler.files.located import nearest_line, toml_lines
from scheduler.specs.grid_event import GridEventSpec, GridScriptSpec, notice_of


def read_grid_script(path: Path) -> list[tuple[datetime, GridEventNotice]]:
    """Read events, each with the instant from which it is known; raises ``BadFile``."""
    data, text = read_toml(path)
    lines = toml_lines(text)
    try:
        script = GridScriptSpec.model_validate(data)
    except ValidationError as error:
        problems = problems_of(error, lambda place: nearest_line(lines, place), dotted)
        raise BadFile(path, problems) from error
    return [(event.known_at, _notice(event)) for event in script.events]


def _notice(event: GridEventSpec) -> GridEventNotice:
    return replace(notice_of(event), is_cancelled=event.is_cancelled)
