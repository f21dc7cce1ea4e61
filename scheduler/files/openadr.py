"""The connection to a virtual power plant that speaks OpenADR 3, from TOML."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from scheduler.files.errors import BadFile, dotted, problems_of
from scheduler.files.fleet import read_toml
from scheduler.files.located import nearest_line, toml_lines
from scheduler.specs.openadr import OpenAdrSpec


def read_openadr(path: Path) -> OpenAdrSpec:
    """Read the connection; raises ``BadFile``."""
    data, text = read_toml(path)
    lines = toml_lines(text)
    try:
        return OpenAdrSpec.model_validate(data)
    except ValidationError as error:
        problems = problems_of(error, lambda place: nearest_line(lines, place), dotted)
        raise BadFile(path, problems) from error
