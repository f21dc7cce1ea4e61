"""Forecasts of our own are listed and shown by command."""

from __future__ import annotations

import json

import pytest

from connectors.types import SignalKind
from scheduler.cli.console import ExitCode
from scheduler.db.models import Role
from scheduler.db.session import SessionFactory
from tests.api.test_signal_forecasts import HOUR, issue
from tests.api.world import NOW, World
from tests.cli.server import gridtide, talk_to


def test_forecasts_are_listed_and_one_is_shown(
    sqlite_sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With quantiles by name and the unit; without one the command says so."""
    world = World(sqlite_sessions)
    talk_to(world.app, world.secrets[Role.SUBMITTER], monkeypatch)
    missing = gridtide("signals", "forecast", "DE", "pv")
    assert missing.exit_code == ExitCode.INVALID
    assert "DE pv" in missing.stderr
    issue(world, SignalKind.PV, NOW - HOUR, 50)
    issue(world, SignalKind.PV, NOW, 60)
    listed = json.loads(gridtide("signals", "forecasts", "--kind", "pv", "--json").stdout)
    assert [one["method"] for one in listed] == ["seasonal-naive"] * 2
    assert "seasonal-naive" in gridtide("signals", "forecasts", "--limit", "1").stdout
    title, note, head, first, *_ = gridtide("signals", "forecast", "DE", "pv").stdout.splitlines()
    assert "DE pv [kW]" in title
    assert note == "less than two weeks are known"
    assert head.split() == ["START", "P10", "P50", "P90", "PUBLISHED"]
    assert first.split()[1:] == ["60.00", "70.00", "80.00", "-"]
    earlier = gridtide("signals", "forecast", "DE", "pv", "--known-at", "2026-06-07T09:00Z")
    assert "50.00" in earlier.stdout
