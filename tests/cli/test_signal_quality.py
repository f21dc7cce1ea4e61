"""Suspicious signals are listed and decided on by command; old values are thinned by one."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta

import pytest

from connectors.types import SignalKind
from scheduler.cli.console import ExitCode
from scheduler.db.models import Role
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import fleet
from scheduler.services.signals import SignalPoint, insert_values
from tests.api.world import World
from tests.cli.server import gridtide, talk_to
from tests.services.builders import fleet_spec

HOUR = timedelta(hours=1)


def store(sessions: SessionFactory, start: datetime, values: list[float], at: datetime) -> None:
    """Let prices of DE come in."""
    points = [
        SignalPoint("DE", SignalKind.PRICE, start + hour * HOUR, 60, value, at)
        for hour, value in enumerate(values)
    ]
    with transaction(sessions) as session:
        insert_values(session, points, "feed", at)


def test_a_flag_is_listed_and_rejected(
    sqlite_sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its id, with a word of why."""
    world = World(sqlite_sessions)
    talk_to(world.app, world.secrets[Role.OPERATOR], monkeypatch)
    with transaction(sqlite_sessions) as session:
        fleet.replace_fleet(session, fleet_spec(), "test", world.now)
    assert gridtide("signals", "quality").stdout.count("\n") == 1  # headings alone
    day = world.now.replace(hour=0, minute=0) - timedelta(days=14)
    usual = [50 + 20 * math.sin(hour * math.pi / 12) + hour * 7 % 11 for hour in range(15 * 24)]
    store(sqlite_sessions, day, usual, world.now - HOUR)
    tomorrow = day + timedelta(days=15)
    store(sqlite_sessions, tomorrow, [value / 1000 for value in usual[:24]], world.now)
    (flag,) = json.loads(gridtide("signals", "quality", "--json").stdout)
    assert flag["rule"] == "unit"
    assert "a price per kWh" in gridtide("signals", "quality").stdout
    world.now += HOUR
    said = gridtide("signals", "reject", flag["id"], "--note", "per kWh").stdout
    assert said.startswith("DE price from")
    assert said.rstrip().endswith("rejected")
    assert gridtide("signals", "quality").stdout.count("\n") == 1
    (decided,) = json.loads(gridtide("signals", "quality", "--all", "--json").stdout)
    assert (decided["verdict"], decided["note"]) == ("rejected", "per kWh")
    world.now += HOUR
    assert "confirmed" in gridtide("signals", "confirm", flag["id"]).stdout


def test_old_values_are_thinned_by_command(
    sqlite_sessions: SessionFactory, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First it says what would go, then it goes; newer ones stay."""
    monkeypatch.setenv("GRIDTIDE_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("GRIDTIDE_SIGNAL_DETAIL_DAYS", "30")
    begin = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with transaction(sqlite_sessions) as session:
        fleet.replace_fleet(session, fleet_spec(), "test", begin)
    for days_ago in (100, 10):
        start = begin - timedelta(days=days_ago)
        for minute in range(4):
            known_at = start - 5 * HOUR + timedelta(minutes=minute)
            store(sqlite_sessions, start, [float(minute)] * 5, known_at)
    counted = gridtide("signals", "compact", "--dry-run")
    assert counted.exit_code == ExitCode.OK, counted.output
    assert "15 of 15 values superseded before" in counted.stdout
    assert "would be removed" in counted.stdout
    for removed in (15, 0):
        done = json.loads(gridtide("signals", "compact", "--json").stdout)
        assert done == {"superseded": removed, "removed": removed, "dry_run": False}


def test_keeping_no_detail_at_all_is_refused(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that is being made may still read what was superseded a moment ago."""
    monkeypatch.setenv("GRIDTIDE_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("GRIDTIDE_SIGNAL_DETAIL_DAYS", "0.5")
    refused = gridtide("signals", "compact")
    assert refused.exit_code == ExitCode.INVALID
    assert "signal_detail_days" in refused.output.lower()
