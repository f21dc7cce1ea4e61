"""A backtest, from TOML."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from scheduler.files.errors import BadFile, dotted, problems_of
from scheduler.files.fleet import read_toml
from scheduler.files.located import nearest_line, toml_lines
from scheduler.specs.backtest import BacktestSpec


def read_backtest(path: Path) -> BacktestSpec:
    """Read what is to be replayed; raises ``BadFile`` with all that is wrong."""
    data, text = read_toml(path)
    lines = toml_lines(text)
    try:
        return BacktestSpec.model_validate(data)
    except ValidationError as error:
        problems = problems_of(error, lambda place: nearest_line(lines, place), dotted)
        raise BadFile(path, problems) from error
