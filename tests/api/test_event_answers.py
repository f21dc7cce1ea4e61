"""Who answers a call in the plan in force, as the API, its page and the command tell it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from scheduler.db.models import Role
from scheduler.db.session import transaction
from scheduler.services import plans
from tests.api.test_settlements import page
from tests.api.world import MIDNIGHT, World, problem_of
from tests.cli.server import gridtide, talk_to

HOUR = timedelta(hours=1)
# Run-now puts the job of two hours, 2 kW, first; the call leaves it nothing.
EVENT: dict[str, Any] = {
    "external_id": "dr-1",
    "site": "DE",
    "start_at": MIDNIGHT.isoformat(),
    "end_at": (MIDNIGHT + 2 * HOUR).isoformat(),
    "limit_kw": 0.5,
    "breach_eur_per_kwh": 2.0,
}


def approved(world: World) -> None:
    """Put a plan in force."""
    plan_id = world.plan()
    with transaction(world.sessions) as session:
        plans.approve_plan(session, plan_id, "test", world.now)


@pytest.fixture
def planned(world: World) -> World:
    """A plan in force that holds a call."""
    world.submit("train")
    assert world.operator.post("/v1/grid-events", json=EVENT).status_code == 201
    approved(world)
    return world


def test_an_answer_adds_up_and_is_told_in_three_ways(
    planned: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the sources save is what is imported less than without the call; all show the same."""
    found = planned.submitter.get("/v1/grid-events/dr-1/answer").json()
    assert (found["event"], found["sites"], found["is_declined"]) == ("dr-1", ["DE"], False)
    less_kwh = sum(slot["without_kw"] - slot["planned_kw"] for slot in found["slots"])
    assert [slot["called_kw"] for slot in found["slots"]] == [0.5, 0.5]
    assert sum(one["energy_kwh"] for one in found["sources"]) == pytest.approx(less_kwh, abs=1e-4)
    told = sum(one["cost_eur"] for one in found["sources"]) + found["other_eur"]
    assert told == pytest.approx(found["effort_eur"])
    shown = page(planned, "/grid-events/dr-1/answer").text
    assert "Who answers dr-1" in shown
    assert 'href="/grid-events/dr-1/answer"' in page(planned, f"/plans/{found['plan_id']}").text
    assert all(one["name"] in shown for one in found["sources"])
    talk_to(planned.app, planned.secrets[Role.SUBMITTER], monkeypatch)
    assert "effort" in gridtide("events", "answer", "dr-1").stdout
    as_json = json.loads(gridtide("events", "answer", "dr-1", "--json").stdout)
    assert as_json["sources"] == found["sources"]


def test_a_call_the_plan_does_not_hold_is_a_conflict(planned: World) -> None:
    """It came later, or nobody knows it; and one question is answered at a time."""
    later = EVENT | {"external_id": "dr-2"}
    planned.operator.post("/v1/grid-events", json=later)
    refused = problem_of(planned.submitter.get("/v1/grid-events/dr-2/answer"), 409, "conflict")
    assert "is not in the plan in force" in refused["detail"]
    problem_of(planned.submitter.get("/v1/grid-events/none/answer"), 404, "not-found")
    with planned.app.state.context.pricing:
        refused = problem_of(planned.submitter.get("/v1/grid-events/dr-1/answer"), 409, "conflict")
        assert "ask again" in refused["detail"]
