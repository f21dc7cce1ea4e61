"""What the documentation shows can be pasted: valid files, commands that exist, a first job."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scheduler.db.models import Role
from scheduler.db.session import make_engine, make_session_factory
from scheduler.files import read_fleet
from scheduler.files.fleet import read_spec
from scheduler.files.grid_script import read_grid_script
from scheduler.specs import JobArraySpec, JobSpec, ReplanSpec
from scheduler.specs.backtest import BacktestSpec
from scheduler.specs.openadr import OpenAdrSpec
from scheduler.worker import Worker
from tests.api.world import World, job
from tests.cli.server import gridtide, talk_to

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^(?:\S*/)?gridtide((?: [a-z]+)+)", re.MULTILINE)
_GROUPS = {"fleet", "signals", "jobs", "plans", "events", "ledger", "keys", "clusters", "db"}
FIRST_JOB = (
    (ROOT / "docs" / "clusters.md")
    .read_text(encoding="utf-8")
    .split("## From nothing to the first job")[1]
)
SITE = """
[[sites]]
name = "frankfurt"
time_zone = "Europe/Berlin"
grid = { import_limit_kw = 400 }
pools = [{ name = "gpus", gpus = 4 }]
"""
PART_OF = {
    "[sites.cluster.power]": '[sites.cluster]\nkind = "local"\n',
    "[sites.cluster.accounting]": '[sites.cluster]\nkind = "slurm"\nfolder = "/shared/gridtide"\n',
}


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of a page that are in one language."""
    return [found["text"] for found in _BLOCK.finditer(page) if found["language"] == language]


TOML = [text for page in PAGES for text in blocks(page.read_text(encoding="utf-8"), "toml")]
SHELL = [text for page in PAGES for text in blocks(page.read_text(encoding="utf-8"), "")]


@pytest.mark.parametrize("text", TOML, ids=lambda text: text.splitlines()[0][:40])
def test_files_that_are_shown_are_valid(text: str, tmp_path: Path) -> None:
    """A part of a file is, together with what it is a part of."""
    if "[[events]]" in text:
        path = tmp_path / "events.toml"
        path.write_text(text)
        assert read_grid_script(path)
    elif "[[policies]]" in text:
        assert BacktestSpec.model_validate(tomllib.loads(text)).policies
    elif "ven_name" in text:
        path = tmp_path / "openadr.toml"
        path.write_text(text)
        assert read_spec(path, OpenAdrSpec).sites
    elif "jobs" in (document := tomllib.loads(text)):
        jobs = document["jobs"]
        for part in jobs if isinstance(jobs, list) else [jobs]:
            kind = JobArraySpec if "array" in part else JobSpec
            assert kind.model_validate(job() | part)
    else:
        whole = (
            text
            if "[[sites]]" in text
            else SITE + PART_OF.get(text.split(maxsplit=1)[0], "") + text
        )
        path = tmp_path / "fleet.toml"
        path.write_text(whole)
        shutil.copy(ROOT / "examples" / "tariff.json", tmp_path)
        assert read_fleet(path).sites


def shown_commands() -> list[tuple[str, ...]]:
    """Return every command of ours that a block shows, without what it is given."""
    found = {tuple(one[1].split()) for text in SHELL for one in _COMMAND.finditer(text)}
    return sorted({words[:2] if words[0] in _GROUPS else words[:1] for words in found})


@pytest.mark.parametrize("words", shown_commands(), ids=" ".join)
def test_commands_that_are_shown_exist(words: tuple[str, ...]) -> None:
    """They have a help, at least."""
    assert gridtide(*words, "--help").exit_code == 0


@pytest.fixture
def world(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A deployment of this very moment, without a fleet, that commands talk to."""
    engine = make_engine(sqlite_url)
    world = World(make_session_factory(engine), now=datetime.now(UTC))
    talk_to(world.app, world.secrets[Role.ADMIN], monkeypatch)
    yield world
    engine.dispose()


def test_the_first_job_is_planned_at_once(world: World, tmp_path: Path) -> None:
    """What the page has one paste leads to a plan in which it starts in the first slot."""
    fleet = tmp_path / "fleet.toml"
    fleet.write_text(blocks(FIRST_JOB, "toml")[0])
    for text in blocks(FIRST_JOB, ""):
        if "cat >" in text:
            files_only = re.sub(r"^gridtide .*$", "", text, flags=re.MULTILINE)
            subprocess.run(["bash", "-ec", files_only], check=True, cwd=tmp_path)
    for words in (("fleet", "put"), ("signals", "upload"), ("jobs", "submit")):
        name = f"{words[0]}.{'csv' if words[0] == 'signals' else 'toml'}"
        result = gridtide(*words, str(tmp_path / name))
        assert result.exit_code == 0, result.output
    world.now = datetime.now(UTC)
    assert world.operator.post("/v1/planning-runs", json={}).status_code == 202
    assert Worker(world.sessions, lambda: world.now, threading.Event()).work_once()
    (plan,) = json.loads(gridtide("plans", "list", "--json").stdout)
    assert gridtide("plans", "approve", plan["id"]).exit_code == 0
    (run,) = json.loads(gridtide("jobs", "why", "first", "--json").stdout)["runs"]
    assert run["start_at"] == plan["window_start"]


def test_what_is_replanned_for_is_shown_with_its_defaults() -> None:
    """Every setting but the time limit, which is the day's where none is given."""
    page = (ROOT / "docs" / "replanning.md").read_text(encoding="utf-8")
    shown = tomllib.loads(blocks(page, "toml")[0])["planning"]["replan"]
    assert shown == ReplanSpec().model_dump(exclude_none=True)
