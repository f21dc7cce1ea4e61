"""Flexibility and bids, priced against the plan in force."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from connectors.types import ReportRequest, Window
from scheduler.api.auth import COOKIE
from scheduler.db.models import Role
from scheduler.db.session import transaction
from scheduler.services import plans
from scheduler.services.grid_reports import send_reports
from tests.api.world import MIDNIGHT, NOW, World, problem_of

HOUR = timedelta(hours=1)
# Run-now puts the job of two hours first: it draws 2 kW at 40 and 41 EUR/MWh.
BID: dict[str, Any] = {
    "site": "DE",
    "start_at": MIDNIGHT.isoformat(),
    "end_at": (MIDNIGHT + HOUR).isoformat(),
    "limit_kw": 0.0,
    "payment_eur_per_kwh": 0.5,
    "breach_eur_per_kwh": 2.0,
}


@pytest.fixture
def planned(world: World) -> World:
    """A plan in force with one job in its first two hours."""
    world.submit("train")
    plan_id = world.plan()
    with transaction(world.sessions) as session:
        plans.approve_plan(session, plan_id, "test", world.now)
    return world


def evaluated(world: World, **changes: Any) -> Any:
    """The answer to a bid; half a minute of solving is plenty for one job."""
    query = {"time_limit_s": 20}
    return world.operator.post("/v1/vpp/bids/evaluate", json=BID | changes, params=query)


def test_a_bid_is_priced_accepted_and_held_by_the_next_plan(planned: World) -> None:
    """Not drawing 2 kWh is paid a euro, and costs less: the job waits, or the battery gives."""
    answer = evaluated(planned)
    assert answer.status_code == 201, answer.text
    bid = answer.json()
    assert (bid["is_met"], bid["limit_kw"], bid["event"]) == (True, 0.0, None)
    assert 0.0 <= bid["least_eur"] <= bid["cost_eur"] <= bid["most_eur"] < 1.0
    assert bid["payment_eur"] == pytest.approx(1.0)
    assert bid["is_worth_it"] is True
    accept = f"/v1/vpp/bids/{bid['id']}/accept"
    problem_of(planned.submitter.post(accept), 403, "forbidden")
    for _ in range(2):
        accepted = planned.operator.post(accept).json()
        assert accepted["event"] == f"bid-{bid['id']}"
    (event,) = planned.submitter.get("/v1/grid-events").json()["items"]
    assert (event["external_id"], event["limit_kw"]) == (accepted["event"], 0.0)
    assert event["payment_eur_per_kwh"] == 0.5
    anew = planned.document(planned.plan())
    assert [limit.limit_kw for limit in anew.problem.capacity_limits] == [0.0]


def test_what_cannot_be_priced_is_refused_with_its_limit(planned: World) -> None:
    """Beyond the plan, at a site there is not, or with two levels; and from who may not bid."""
    late = (MIDNIGHT + 30 * HOUR).isoformat()
    refused = problem_of(evaluated(planned, end_at=late), 422, "invalid")
    assert "the rest of the plan" in refused["errors"][0]["limit"]
    both = problem_of(evaluated(planned, drop_kw=1.0), 422, "invalid")
    assert "exactly one of" in both["detail"]
    problem_of(evaluated(planned, site="FR"), 422, "invalid")
    assert planned.submitter.post("/v1/vpp/bids/evaluate", json=BID).status_code == 403


def test_a_bid_on_another_plan_must_be_evaluated_again(planned: World) -> None:
    """Its price is of what is in force no more."""
    bid = evaluated(planned).json()
    plan_id = planned.plan()
    with transaction(planned.sessions) as session:
        plans.approve_plan(session, plan_id, "test", planned.now)
    refused = planned.operator.post(f"/v1/vpp/bids/{bid['id']}/accept")
    assert "evaluate it again" in problem_of(refused, 409, "conflict")["detail"]


def test_flexibility_is_a_curve_down_and_up(planned: World) -> None:
    """Of 2 kW a quarter, a half and all can be left; of nearly 100 kW up there is no use."""
    query = {"time_limit_s": 60}
    found = planned.submitter.get("/v1/vpp/flexibility", params=query).json()
    assert found["is_of_plan_in_force"]
    (curve,) = found["curves"]
    assert curve["sites"] == ["DE"]
    assert [one["change_kw"] for one in curve["down"]] == pytest.approx([-0.5, -1.0, -2.0])
    assert all(one["is_met"] for one in curve["down"])
    costs = [one["cost_eur"] for one in curve["down"]]
    assert costs == sorted(costs)
    assert [one["is_met"] for one in curve["up"]] == [False, False, False]
    assert found["start_at"] == MIDNIGHT.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_one_question_is_priced_at_a_time(planned: World) -> None:
    """The others are told to ask again, and take none of the machine's cores."""
    context = planned.app.state.context
    with context.pricing:
        refused = planned.submitter.get("/v1/vpp/flexibility")
        assert "ask again" in problem_of(refused, 409, "conflict")["detail"]


def test_without_a_plan_there_is_nothing_to_price(world: World) -> None:
    """It is not found."""
    problem_of(world.submitter.get("/v1/vpp/flexibility"), 404, "not-found")
    problem_of(evaluated(world), 404, "not-found")


def test_what_was_reported_and_what_not_is_listed_and_shown(world: World) -> None:
    """With the words of who asked, and the reason."""
    refused = (("IMPORT_RESERVATION_FEE", "is not told here"),)
    window = Window(NOW, NOW + timedelta(hours=1))
    asked = ReportRequest(
        "e1 x", "e1", ("DE",), NOW, (window,), frozenset(), asked=("USAGE",), refused=refused
    )
    send_reports(world.sessions, [asked], "vpp", lambda _: None, lambda: NOW)
    (listed,) = world.submitter.get("/v1/vpp/reports").json()
    assert (listed["event"], listed["told"]) == ("e1", ["USAGE"])
    assert listed["not_told"] == ["IMPORT_RESERVATION_FEE: is not told here"]
    headers = {"Cookie": f"{COOKIE}={world.secrets[Role.SUBMITTER]}"}
    page = world.client(None).get("/grid-events", headers=headers).text
    assert "IMPORT_RESERVATION_FEE: is not told here" in page
    assert world.client(None).get("/v1/vpp/reports").status_code == 401
