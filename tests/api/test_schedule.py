"""What is in force now, the commands that carried it out, and grid events."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from connectors.types import GridEventNotice, Window
from scheduler.db.models import CommandKind, CommandOutcome, DispatchCommand
from scheduler.db.session import transaction
from scheduler.services import events
from tests.api.world import MIDNIGHT, NOW, World, problem_of


def test_schedule_is_the_plan_in_force(world: World) -> None:
    """By job over the window, by site for the present slot."""
    world.submit("train")
    plan_id = world.plan()
    problem_of(world.submitter.get("/v1/schedule"), 404, "not-found")
    world.operator.post(f"/v1/plans/{plan_id}/approve", json={})
    before = world.submitter.get("/v1/schedule").json()
    assert (before["plan_id"], before["sites"]) == (str(plan_id), [])
    (row,) = before["jobs"]
    assert (row["job"], row["site"], row["status"]) == ("train", "DE", "waiting")
    assert row["runs"][0]["start_at"] == "2026-06-08T00:00:00Z"
    world.now = MIDNIGHT + timedelta(minutes=59)
    (site,) = world.submitter.get("/v1/schedule").json()["sites"]
    assert (site["import_kw"], site["battery_kw"]) == (2.0, {"battery": 0.0})


def test_schedule_of_one_site(world: World) -> None:
    """Other sites' jobs are left out."""
    world.submit("train")
    world.operator.post(f"/v1/plans/{world.plan()}/approve", json={})
    world.now = MIDNIGHT
    elsewhere = world.submitter.get("/v1/schedule", params={"site": "FR"}).json()
    assert (elsewhere["jobs"], elsewhere["sites"]) == ([], [])
    here = world.submitter.get("/v1/schedule", params={"site": "DE"}).json()
    assert (len(here["jobs"]), len(here["sites"])) == (1, 1)


def test_commands_are_listed_with_their_outcome(world: World) -> None:
    """Filters by job, site and outcome."""
    world.submit("train")
    job_id = world.submitter.get("/v1/jobs/train").json()["id"]
    with transaction(world.sessions) as session:
        for minute, outcome in enumerate((CommandOutcome.DONE, CommandOutcome.REFUSED)):
            session.add(
                DispatchCommand(
                    site="DE",
                    kind=CommandKind.BATTERY_POWER,
                    detail={"power_kw": 5.0},
                    decided_at=NOW + timedelta(minutes=minute),
                    outcome=outcome,
                )
            )

    def listed(**query: Any) -> list[str]:
        rows = world.submitter.get("/v1/dispatch-commands", params=query).json()["items"]
        return [row["outcome"] for row in rows]

    assert listed() == ["refused", "done"]
    assert listed(outcome="done", site="DE") == ["done"]
    assert listed(site="FR") == []
    assert listed(job_id=job_id) == []


EVENT = {
    "external_id": "dr-7",
    "site": "DE",
    "start_at": "2026-06-08T18:00:00Z",
    "end_at": "2026-06-08T20:00:00Z",
    "limit_kw": 20.0,
    "breach_eur_per_kwh": 5.0,
}


def test_event_is_taken_in_once(world: World) -> None:
    """The grid side sends it until it sees an answer."""
    first = world.operator.post("/v1/grid-events", json=EVENT)
    again = world.operator.post("/v1/grid-events", json=EVENT)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json() == world.submitter.get("/v1/grid-events/dr-7").json()
    other = world.operator.post("/v1/grid-events", json=EVENT | {"limit_kw": 30})
    assert "known with other values" in problem_of(other, 409, "conflict")["detail"]


def test_an_event_says_what_else_was_agreed_of_it(world: World) -> None:
    """Left out, it is a plain limit: no ramp, no payment, no priority."""
    agreed = {
        "kind": "emergency",
        "issued_at": "2026-06-08T17:30:00Z",
        "ramp_minutes": 10.0,
        "priority": 0,
        "payment_eur_per_kwh": 0.4,
    }
    plain = world.operator.post("/v1/grid-events", json=EVENT).json()
    assert (plain["kind"], plain["ramp_minutes"], plain["issued_at"]) == ("limit", 0.0, None)
    changed = world.operator.put("/v1/grid-events/dr-7", json=EVENT | agreed).json()
    assert agreed.items() <= changed.items()
    wrong = world.operator.put("/v1/grid-events/dr-7", json=EVENT | {"priority": -1})
    problem_of(wrong, 422, "invalid")


def test_event_that_cannot_be_honoured_is_refused(world: World) -> None:
    """Unknown site, over already, or ending before it starts."""
    wrong = (
        ({"site": "FR"}, "site"),
        ({"start_at": "2026-06-01T18:00Z", "end_at": "2026-06-01T20:00Z"}, "end_at"),
        ({"end_at": EVENT["start_at"]}, "end_at"),
    )
    for changes, field in wrong:
        answer = world.operator.post("/v1/grid-events", json=EVENT | changes)
        (error,) = problem_of(answer, 422, "invalid")["errors"]
        assert (error["object"], error["field"]) == ("grid event dr-7", field)


def test_event_that_is_called_off_is_still_on_record(world: World) -> None:
    """Calling off twice changes nothing."""
    world.operator.post("/v1/grid-events", json=EVENT)
    for _ in range(2):
        answer = world.operator.post("/v1/grid-events/dr-7/cancel")
        assert answer.json()["cancelled_at"] == "2026-06-07T09:30:00Z"
    with_cancelled = world.submitter.get("/v1/grid-events").json()["items"]
    assert len(with_cancelled) == 1
    query = {"with_cancelled": False}
    assert world.submitter.get("/v1/grid-events", params=query).json()["items"] == []
    problem_of(world.operator.post("/v1/grid-events/none/cancel"), 404, "not-found")


def test_event_that_was_called_off_does_not_seem_to_hold_when_sent_again(world: World) -> None:
    """A success would let the grid side count on it."""
    world.operator.post("/v1/grid-events", json=EVENT)
    world.operator.post("/v1/grid-events/dr-7/cancel")
    answer = world.operator.post("/v1/grid-events", json=EVENT)
    assert "was called off at 2026-06-07T09:30:00" in problem_of(answer, 409, "conflict")["detail"]
    answer = world.operator.put("/v1/grid-events/dr-7", json=EVENT)
    assert (answer.status_code, answer.json()["cancelled_at"]) == (200, None)
    assert world.operator.post("/v1/grid-events", json=EVENT).status_code == 200


def test_event_is_changed_by_its_number(world: World) -> None:
    """The grid side moves or eases it; what cannot be honoured is refused as at first."""
    world.operator.post("/v1/grid-events", json=EVENT)
    eased = EVENT | {"end_at": "2026-06-08T19:00:00Z", "limit_kw": 30.0}
    answer = world.operator.put("/v1/grid-events/dr-7", json=eased)
    assert answer.status_code == 200
    assert answer.json() == world.submitter.get("/v1/grid-events/dr-7").json()
    assert (answer.json()["end_at"], answer.json()["limit_kw"]) == ("2026-06-08T19:00:00Z", 30.0)
    for changes, field in (({"site": "FR"}, "site"), ({"external_id": "dr-8"}, "external_id")):
        answer = world.operator.put("/v1/grid-events/dr-7", json=EVENT | changes)
        (error,) = problem_of(answer, 422, "invalid")["errors"]
        assert error["field"] == field
    problem_of(world.operator.put("/v1/grid-events/none", json=EVENT), 404, "not-found")


def test_notice_of_the_grid_side_is_followed_whatever_it_says(world: World) -> None:
    """New, unchanged, changed, called off, and holding again; unknown and called off is nothing."""
    window = Window(MIDNIGHT, MIDNIGHT + timedelta(hours=2))
    notice = GridEventNotice("dr-7", "DE", window, limit_kw=20.0, breach_eur_per_kwh=5.0)
    cancelled = replace(notice, is_cancelled=True)

    def taken(notice: GridEventNotice) -> tuple[float, bool] | None:
        with transaction(world.sessions) as session:
            event = events.take_notice(session, notice, "vpp", world.now)
            return None if event is None else (event.limit_kw, event.cancelled_at is None)

    assert taken(cancelled) is None
    assert taken(notice) == taken(notice) == (20.0, True)
    assert taken(replace(notice, limit_kw=30.0)) == (30.0, True)
    assert taken(cancelled) == (30.0, False)
    assert taken(notice) == (20.0, True)


def test_events_are_listed_by_site_and_time(world: World) -> None:
    """What is over can be left out."""
    world.operator.post("/v1/grid-events", json=EVENT)
    later = EVENT | {"external_id": "dr-8", "end_at": "2026-06-08T22:00:00Z"}
    world.operator.post("/v1/grid-events", json=later)

    def listed(**query: Any) -> set[str]:
        rows = world.submitter.get("/v1/grid-events", params=query).json()["items"]
        return {row["external_id"] for row in rows}

    assert listed() == {"dr-7", "dr-8"}
    assert listed(ends_after="2026-06-08T21:00:00Z") == {"dr-8"}
    assert listed(site="FR") == set()


def test_plan_honours_the_event(world: World) -> None:
    """It is a capacity limit of the problem."""
    world.submit("train")
    world.operator.post("/v1/grid-events", json=EVENT)
    (limit,) = world.document(world.plan()).problem.capacity_limits
    assert (limit.name, limit.start_slot, limit.end_slot, limit.limit_kw) == ("dr-7", 18, 20, 20.0)
