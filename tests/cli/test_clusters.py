"""``gridtide clusters``: what the clusters of a server have and draw, what their links came to."""

from __future__ import annotations

import json

import pytest

from scheduler.db.models import PoolState, Role
from scheduler.db.session import SessionFactory, transaction
from tests.api.test_power import draw
from tests.api.test_transfers import furnish, transfer
from tests.api.world import World
from tests.cli.server import gridtide, talk_to


def test_pools_are_listed_for_people_and_programs(
    sqlite_sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line for each, or one JSON document."""
    world = World(sqlite_sessions)
    world.furnish()
    talk_to(world.app, world.secrets[Role.SUBMITTER], monkeypatch)
    with transaction(sqlite_sessions) as session:
        said = {"gpus_total": 8, "gpus_available": 6, "gpus_in_use": 3, "gpus_of_others": 1}
        session.add(PoolState(site="DE", pool="a100", seen_at=world.now, **said))
    heading, line = gridtide("clusters", "pools").stdout.splitlines()
    assert heading.split("  ")[0] == "SITE"
    assert line.split()[:6] == ["DE", "a100", "8", "6", "3", "1"]
    (found,) = json.loads(gridtide("clusters", "pools", "--json").stdout)
    assert found["gpus_available"] == 6


def test_links_are_listed_beside_what_they_came_to(
    sqlite_sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten were said, five it was; and the job shows its transfer and what that wrote."""
    world = World(sqlite_sessions)
    furnish(world)
    job_id = transfer(world)
    talk_to(world.app, world.secrets[Role.SUBMITTER], monkeypatch)
    heading, line = gridtide("clusters", "links").stdout.splitlines()
    assert heading.split()[:5] == ["FROM", "TO", "GB/h", "MEAN", "GB/h"]
    assert line.split() == ["FR", "DE", "10.00", "5.00", "1", "20.00", "2.00"]
    shown = gridtide("jobs", "show", "train").stdout.splitlines()[-1]
    assert shown.split()[:4] == ["DE", "FR", "20.00", "succeeded"]
    world.cluster.lines[f"data-{job_id}-DE"] = ["sent 20 GB"]
    assert gridtide("jobs", "logs", "train", "--data-to", "DE").stdout == "sent 20 GB\n"


def test_power_and_energy_are_told_with_how_they_are_known(
    sqlite_sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured by whom, or modelled and why; and what is not known."""
    world = World(sqlite_sessions)
    world.furnish()
    talk_to(world.app, world.secrets[Role.SUBMITTER], monkeypatch)
    away = {"is_measured": False, "source": "", "reason": "prometheus: away"}
    draw(world, 60.0, 60.0)
    draw(world, 1.0, site="FR", **away)
    heading, german, french = gridtide("clusters", "power").stdout.splitlines()
    assert heading.split()[:3] == ["SITE", "KW", "PLANNED"]
    assert german.split()[:5] == ["DE", "60.00", "5.00", "measured", "(prometheus)"]
    assert french.split()[3:] == ["modelled", "gpus", "2026-06-07T09:30:00Z", "prometheus:", "away"]
    span = ("--start", "2026-06-07T09:29:00Z", "--end", "2026-06-07T09:31:00Z")
    text = gridtide("clusters", "energy", "DE", *span).stdout
    assert "Drawn      1.00 kWh\nMeasured   100.0% of it (prometheus)\nKnown      50.0% of" in text
    assert "Not known  2026-06-07T09:30:00Z to 2026-06-07T09:31:00Z" in text
    found = json.loads(gridtide("clusters", "energy", "DE", *span, "--json").stdout)
    assert found["kwh"] == pytest.approx(1.0)
