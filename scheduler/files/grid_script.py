"""The script of a simulated virtual power plant, from TOML."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from connectors.types import GridEventNotice, Window
from scheduler.files.errors import BadFile, dotted, problems_of
from scheduler.files.fleet import read_toml
from scheduler.files.located import nearest_line, toml_lines
from scheduler.specs.grid_event import GridEventSpec, GridScriptSpec


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
    return GridEventNotice(
        event_id=event.external_id,
        site=event.site,
        window=Window(event.start_at, event.end_at),
        limit_kw=event.limit_kw,
        breach_eur_per_kwh=event.breach_eur_per_kwh,
        is_cancelled=event.is_cancelled,
        kind=event.kind,
        issued_at=event.issued_at,
        ramp_minutes=event.ramp_minutes,
        priority=event.priority,
        payment_eur_per_kwh=event.payment_eur_per_kwh,
    )
