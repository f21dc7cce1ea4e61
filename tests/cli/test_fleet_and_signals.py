"""``gridtide fleet`` and ``gridtide signals``: what a plan is made of, from files."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from connectors.types import SignalKind
from scheduler.cli.console import ExitCode
from scheduler.db.models import FeedState, Role
from scheduler.db.session import SessionFactory, transaction
from tests.api.world import World
from tests.cli.server import gridtide, talk_to
from tests.peers.signals.energy_charts import EnergyChartsDocuments
from tests.peers.signals.published import Published
from tests.peers.signals.server import served

FLEET = """
name = "mine"

[[sites]]
name = "oslo"
time_zone = "Europe/Oslo"
grid = { import_limit_kw = 400 }
pools = [{ name = "h100", gpus = 8 }]
"""
SIGNALS = """site,kind,start_at,minutes,value,unit
oslo,price,2026-06-07T00:00Z,1440,85,EUR/MWh
oslo,carbon_intensity,2026-06-07T00:00Z,1440,380,g/kWh
"""


@pytest.fixture
def world(sqlite_sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch) -> World:
    """A deployment with keys and nothing else, whose admin types."""
    world = World(sqlite_sessions)
    talk_to(world.app, world.secrets[Role.ADMIN], monkeypatch)
    return world


@pytest.fixture
def fleet_file(tmp_path: Path) -> Path:
    """A fleet of one site."""
    path = tmp_path / "fleet.toml"
    path.write_text(FLEET)
    return path


def test_a_fleet_is_put_in_force_and_shown(world: World, fleet_file: Path) -> None:
    """The same again makes no other version."""
    assert world.admin.get("/v1/fleet").status_code == 404
    for _ in range(2):
        assert "fleet mine, version 1" in gridtide("fleet", "put", str(fleet_file)).stdout
    shown = gridtide("fleet", "show").stdout
    assert "oslo  local    h100 x 8  400.00" in shown
    assert json.loads(gridtide("fleet", "show", "--json").stdout)["spec"]["name"] == "mine"


def test_what_is_wrong_with_a_fleet_is_told_by_line(world: World, fleet_file: Path) -> None:
    """And nothing that only follows from it."""
    fleet_file.write_text(FLEET.replace("gpus = 8", "gpus = -8"))
    refused = gridtide("fleet", "put", str(fleet_file))
    assert refused.exit_code == ExitCode.INVALID
    assert "line 8: sites[0].pools[0].gpus = -8" in refused.output
    assert "at least 1 item" not in refused.output
    assert world.admin.get("/v1/fleet").status_code == 404


def test_without_a_fleet_it_says_how_to_set_one(world: World) -> None:
    """In the words of the command."""
    refused = gridtide("fleet", "show")
    assert refused.exit_code == ExitCode.INVALID
    assert "gridtide fleet put" in refused.output
    assert world.admin.get("/v1/fleet").status_code == 404


def test_signals_are_uploaded_and_missing_ones_are_seen(
    world: World, fleet_file: Path, tmp_path: Path
) -> None:
    """Twice is once; what is needed and not there stands in the list."""
    gridtide("fleet", "put", str(fleet_file))
    assert "carbon_intensity  yes     -" in gridtide("signals", "coverage").stdout
    path = tmp_path / "signals.csv"
    path.write_text(SIGNALS)
    assert "2 values are new, 0 were known" in gridtide("signals", "upload", str(path)).stdout
    assert "0 values are new, 2 were known" in gridtide("signals", "upload", str(path)).stdout
    assert "2026-06-08T00:00:00Z" in gridtide("signals", "coverage").stdout
    assert world.admin.get("/v1/fleet").status_code == 200


def test_a_parquet_file_is_uploaded_by_its_name(
    world: World, fleet_file: Path, tmp_path: Path
) -> None:
    """The same values as the CSV, which changes nothing then."""
    gridtide("fleet", "put", str(fleet_file))
    table, text = tmp_path / "signals.parquet", tmp_path / "signals.csv"
    text.write_text(SIGNALS)
    pd.read_csv(text).to_parquet(table)
    assert "2 values are new, 0 were known" in gridtide("signals", "upload", str(table)).stdout
    assert "0 values are new, 2 were known" in gridtide("signals", "upload", str(text)).stdout
    assert world.admin.get("/v1/fleet").status_code == 200


def test_a_wrong_unit_is_refused_once(world: World, fleet_file: Path, tmp_path: Path) -> None:
    """With the line, the value and what it must be."""
    gridtide("fleet", "put", str(fleet_file))
    path = tmp_path / "signals.csv"
    path.write_text(SIGNALS.replace("EUR/MWh", "EUR/kWh"))
    refused = gridtide("signals", "upload", str(path))
    assert refused.exit_code == ExitCode.INVALID
    assert refused.output.count("line 2: oslo price") == 1
    assert "unit = EUR/kWh, must be" in refused.output
    assert world.admin.get("/v1/fleet").status_code == 200


def test_what_is_fetched_is_uploaded_as_it_is(
    world: World, fleet_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a source to a site by two commands."""
    gridtide("fleet", "put", str(fleet_file))
    file = str(tmp_path / "fetched.csv")
    with served(EnergyChartsDocuments(), Published(15)) as peer:
        monkeypatch.setenv("GRIDTIDE_ENERGY_CHARTS_URL", peer.url)
        words = ("--source", "energy-charts", "--zone", "NO1", "--site", "oslo", "--out", file)
        fetched = gridtide("signals", "fetch", *words, "--from", "2026-06-06", "--to", "2026-06-06")
    assert fetched.exit_code == 0, fetched.output
    assert "96 values are new" in gridtide("signals", "upload", file).stdout


def test_how_feeds_fare_stands_beside_what_they_bring(world: World, fleet_file: Path) -> None:
    """Where a signal comes from, when it was answered last, and what was wrong last."""
    feed = '[[sites.feeds]]\nkind = "price"\nsource = "energy-charts"\nzone = "NO1"\n'
    fleet_file.write_text(FLEET + feed)
    gridtide("fleet", "put", str(fleet_file))
    assert "energy-charts NO1  -" in gridtide("signals", "coverage").stdout
    with transaction(world.sessions) as session:
        state = FeedState(
            site="oslo",
            kind=SignalKind.PRICE,
            source="energy-charts",
            zone="NO1",
            due_at=world.now,
            succeeded_at=world.now - timedelta(hours=3),
            newest_at=None,
            failures=2,
            failed_at=world.now,
            error="no answer [Errno 111]",
        )
        session.add(state)
    shown = gridtide("signals", "coverage").stdout
    assert "energy-charts NO1  3.00            no answer [Errno 111]" in shown
