"""Deployment files name settings and commands that exist, and leave none out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connectors.errors import variable_of
from scheduler.cli import COMMANDS
from scheduler.cli.processes import PROCESSES
from scheduler.settings import Settings
from scheduler.signal_sources import source_infos
from scheduler.timekeeping import system_now

ROOT = Path(__file__).parents[2]
SETTINGS = {f"GRIDTIDE_{name.upper()}" for name in Settings.model_fields}
CLIENT_VARIABLES = {f"GRIDTIDE_{name}" for name in ("API_KEY", "SERVER", "DATA", "FACTS", "PEERS")}
FILES = [path for path in (ROOT / "deploy").rglob("*") if path.is_file()]


def variables(path: Path) -> set[str]:
    """Every setting a file names."""
    return variables_of(path.read_text(encoding="utf-8"))


def variables_of(text: str) -> set[str]:
    """Every setting a text names."""
    return set(re.findall(r"GRIDTIDE_[A-Z_]+", text))


@pytest.mark.parametrize("path", [*FILES, ROOT / "README.md"], ids=lambda path: path.name)
def test_named_settings_exist(path: Path) -> None:
    """A setting nobody reads is a promise nobody keeps."""
    assert variables(path) <= SETTINGS | CLIENT_VARIABLES


def test_every_setting_is_documented() -> None:
    """In the example of the environment file and in the README."""
    assert variables(ROOT / "deploy" / "gridtide.env.example") == SETTINGS
    assert variables(ROOT / "README.md") >= SETTINGS


@pytest.mark.parametrize("name", PROCESSES)
def test_every_process_has_a_unit_and_a_service(name: str) -> None:
    """Both start it by its command."""
    unit = ROOT / "deploy" / "systemd" / f"gridtide-{name}.service"
    assert f"ExecStart=/opt/gridtide/bin/gridtide {name}\n" in unit.read_text()
    compose = (ROOT / "deploy" / "compose.yaml").read_text()
    assert re.search(rf"\n  {name}:\n    <<: \*gridtide\n    command: \[{name}[,\]]", compose)


def test_secrets_of_sources_reach_the_process_that_asks_them() -> None:
    """Passed on by compose, as all that a source says it needs, but for a Python of its own."""
    compose = (ROOT / "deploy" / "compose.yaml").read_text()
    clock = re.search(r"\n  clock:\n(.*?)\n\n", compose, re.DOTALL)
    assert clock is not None
    infos = source_infos(Settings(), system_now)
    needed = {variable_of(name) for info in infos for name in info.needs}
    assert needed <= SETTINGS
    assert variables_of(clock[1]) >= needed - {"GRIDTIDE_GRIDSTATUS_PYTHON"}


def test_jobs_outlive_the_dispatcher_under_systemd() -> None:
    """By default systemd kills the whole control group, and every job with it."""
    unit = ROOT / "deploy" / "systemd" / "gridtide-dispatcher.service"
    assert "\nKillMode=process\n" in unit.read_text()


def test_the_readme_names_every_command() -> None:
    """A command nobody finds is not there."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"`gridtide {name}" not in text] == []
