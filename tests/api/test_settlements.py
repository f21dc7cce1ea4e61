"""What a grid event came to, as the API and its pages show it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from scheduler.api.auth import COOKIE
from scheduler.db.models import Role, TelemetryValue
from scheduler.db.session import transaction
from scheduler.services.settlement_watch import SettlementWatch
from scheduler.specs.message import TelemetrySeries
from tests.api.world import NOW, World, problem_of

HOUR = timedelta(hours=1)
START = NOW + HOUR
EVENT: dict[str, Any] = {
    "external_id": "dr-1",
    "site": "DE",
    "start_at": START.isoformat(),
    "end_at": (START + HOUR).isoformat(),
    "limit_kw": 6.0,
    "breach_eur_per_kwh": 2.0,
    "payment_eur_per_kwh": 0.5,
}


@pytest.fixture
def called(world: World) -> World:
    """An event of an hour that is over; 8 kW were drawn, 2 more than were called."""
    assert world.operator.post("/v1/grid-events", json=EVENT).status_code == 201
    with transaction(world.sessions) as session:
        for k in range(5):
            session.add(
                TelemetryValue(
                    site="DE",
                    series=TelemetrySeries.SITE_POWER,
                    device="",
                    at=START + k * timedelta(minutes=15),
                    value=8.0,
                    source="meter",
                    received_at=START + HOUR,
                )
            )
    world.now = START + 3 * HOUR
    return world


def settle(world: World) -> None:
    """Let it be settled."""
    assert SettlementWatch(world.sessions, lambda: world.now).look() == 1


def page(world: World, path: str) -> Any:
    """A page as a submitter sees it."""
    headers = {"Cookie": f"{COOKIE}={world.secrets[Role.SUBMITTER]}"}
    return world.client(None).get(path, headers=headers)


def test_a_settlement_says_what_was_called_and_drawn(called: World) -> None:
    """Without days before there is no baseline and no payment, and that is said."""
    settle(called)
    found = called.submitter.get("/v1/grid-events/dr-1/settlement").json()
    assert (found["revision"], found["limit_kw"], found["metered_share"]) == (0, 6.0, 1.0)
    assert found["penalty_eur"] == pytest.approx(4.0)
    assert (found["payment_eur"], found["score"], found["is_whole"]) == (None, None, False)
    assert found["baseline"]["notes"][-1].startswith("no baseline: 0 days are known")
    drawn = [one["metered_kw"] for one in found["intervals"]]
    assert drawn == pytest.approx([8.0] * len(drawn))
    assert found["around"][0]["start_at"] == "2026-06-07T09:30:00Z"
    rows = called.submitter.get("/v1/grid-events/dr-1/settlements").json()
    assert [row["revision"] for row in rows] == [0]


def test_what_is_not_settled_is_a_conflict_that_says_until_when(world: World) -> None:
    """And an event nobody knows is not found."""
    world.operator.post("/v1/grid-events", json=EVENT)
    refused = problem_of(world.submitter.get("/v1/grid-events/dr-1/settlement"), 409, "conflict")
    assert "2026-06-07T12:40:00" in refused["detail"]
    assert world.submitter.get("/v1/grid-events/dr-1/settlements").json() == []
    problem_of(world.submitter.get("/v1/grid-events/none/settlement"), 404, "not-found")


def test_settlements_are_for_those_who_may_see_events(called: World) -> None:
    """A key that only sends messages sees none."""
    problem_of(called.sender.get("/v1/grid-events/dr-1/settlement"), 403, "forbidden")
    assert called.client(None).get("/grid-events/dr-1").status_code == 303


def test_the_page_shows_what_the_api_tells(called: World) -> None:
    """And the list leads to it once it is settled."""
    before = page(called, "/grid-events").text
    assert "not settled: it is due" in before
    assert 'href="/grid-events/dr-1"' not in before
    settle(called)
    assert 'href="/grid-events/dr-1"' in page(called, "/grid-events").text
    shown = page(called, "/grid-events/dr-1").text
    assert "Grid event dr-1" in shown
    assert "no baseline: 0 days are known" in shown
    assert "not known" in shown
