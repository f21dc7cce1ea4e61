"""``gridtide events``: what somebody types who wants to know what a call came to."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from scheduler.cli.console import ExitCode
from scheduler.db.models import Role
from scheduler.db.session import SessionFactory
from scheduler.services.settlement_watch import SettlementWatch
from tests.api.test_settlements import EVENT, START
from tests.api.world import World
from tests.cli.server import gridtide, talk_to


@pytest.fixture
def world(sqlite_sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch) -> World:
    """A furnished deployment with one event that is over."""
    world = World(sqlite_sessions)
    world.furnish()
    world.operator.post("/v1/grid-events", json=EVENT)
    world.now = START + timedelta(hours=3)
    talk_to(world.app, world.secrets[Role.SUBMITTER], monkeypatch)
    return world


def test_an_event_is_listed_and_its_settlement_shown(world: World) -> None:
    """Until it is settled that is refused, with the reason."""
    assert "dr-1" in gridtide("events", "list").stdout
    refused = gridtide("events", "settlement", "dr-1")
    assert refused.exit_code == ExitCode.INVALID
    assert "is not settled yet" in refused.output
    SettlementWatch(world.sessions, lambda: world.now).look()
    shown = gridtide("events", "settlement", "dr-1").stdout
    assert "payment unknown EUR" in shown
    assert "CALLED kW" in shown
    told = json.loads(gridtide("events", "settlement", "dr-1", "--json").stdout)
    assert told["external_id"] == "dr-1"
