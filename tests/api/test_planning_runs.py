"""Planning runs: queued, polled, called off."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from scheduler.db.models import RunStatus
from scheduler.db.session import transaction
from scheduler.services import runs
from tests.api.world import FLEET, MIDNIGHT, NOW, World, problem_of


def request(world: World, key: str | None = None, **body: Any) -> Any:
    """Ask for a plan."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return world.operator.post("/v1/planning-runs", json=body, headers=headers)


def test_run_is_queued_and_can_be_polled(world: World) -> None:
    """202, where to look, and when to look again."""
    answer = request(world)
    assert answer.status_code == 202
    assert int(answer.headers["Retry-After"]) > 0
    polled = world.submitter.get(answer.headers["Location"])
    assert polled.json() == answer.json()
    assert polled.json()["status"] == "queued"
    assert int(polled.headers["Retry-After"]) > 0
    problem_of(world.submitter.get(f"/v1/planning-runs/{uuid4()}"), 404, "not-found")


def test_what_is_left_out_comes_from_the_fleet(world: World) -> None:
    """Horizon and time limit are the fleet's planning rules."""
    run = request(world).json()
    assert (run["hours"], run["time_limit_s"], run["window_start"]) == (24, 60.0, None)
    asked = {"hours": 48, "time_limit_s": 5, "window_start": MIDNIGHT.isoformat()}
    run = request(world, **asked).json()
    assert (run["hours"], run["time_limit_s"]) == (48, 5.0)
    assert run["window_start"] == "2026-06-08T00:00:00Z"


def test_same_key_is_the_same_run(world: World) -> None:
    """200 instead of 202; another body under the key is a conflict."""
    first, again = request(world, "today"), request(world, "today")
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json() == again.json()
    problem_of(request(world, "today", hours=12), 409, "conflict")
    assert len(world.submitter.get("/v1/planning-runs").json()["items"]) == 1


def test_same_key_is_the_same_run_however_late_it_comes(world: World) -> None:
    """Its slot has passed and the fleet's rules have changed: it is still what was asked for."""
    body = {"window_start": MIDNIGHT.isoformat()}
    first = request(world, "today", **body)
    world.now = MIDNIGHT + timedelta(hours=5)
    changed = FLEET | {"planning": {"horizon_hours": 48, "time_limit_s": 7}}
    assert world.admin.put("/v1/fleet", json=changed).status_code == 200
    again = request(world, "today", **body)
    assert (again.status_code, again.json()) == (200, first.json())
    stated = body | {"hours": 24}  # what was left out then, though it came to the same
    problem_of(request(world, "today", **stated), 409, "conflict")


@pytest.mark.parametrize(
    ("start", "limit"),
    [
        (MIDNIGHT + timedelta(minutes=30), "a multiple of 60 minutes"),
        (MIDNIGHT - timedelta(days=1), "no earlier than the present slot"),
    ],
)
def test_window_must_start_with_a_slot_that_is_not_over(
    world: World, start: Any, limit: str
) -> None:
    """Nothing can be planned for yesterday."""
    answer = request(world, window_start=start.isoformat())
    (error,) = problem_of(answer, 422, "invalid")["errors"]
    assert error["field"] == "window_start"
    assert error["limit"].startswith(limit)


def test_cancelled_run_stays_cancelled(world: World) -> None:
    """Cancelling twice changes nothing; a run that succeeded cannot be cancelled."""
    location = request(world).headers["Location"]
    for _ in range(2):
        assert world.operator.post(f"{location}/cancel").json()["status"] == "cancelled"
    assert "Retry-After" not in world.submitter.get(location).headers
    plan_id = world.plan()
    run_id = world.submitter.get(f"/v1/plans/{plan_id}").json()["run_id"]
    answer = world.operator.post(f"/v1/planning-runs/{run_id}/cancel")
    assert "has already succeeded" in problem_of(answer, 409, "conflict")["detail"]
    problem_of(world.operator.post(f"/v1/planning-runs/{uuid4()}/cancel"), 404, "not-found")


def test_succeeded_run_names_its_plan(world: World) -> None:
    """The poll ends with where the plan is."""
    plan_id = world.plan()
    run_id = world.submitter.get(f"/v1/plans/{plan_id}").json()["run_id"]
    run = world.submitter.get(f"/v1/planning-runs/{run_id}").json()
    assert (run["status"], run["plan_id"]) == ("succeeded", str(plan_id))


def test_runs_are_listed_newest_first_by_status(world: World) -> None:
    """Pages as for jobs."""
    for _ in range(3):
        request(world)
        world.now += timedelta(minutes=1)
    first = world.submitter.get("/v1/planning-runs", params={"limit": 2}).json()
    cursor = {"limit": 2, "cursor": first["next_cursor"]}
    second = world.submitter.get("/v1/planning-runs", params=cursor).json()
    queued = [run["queued_at"] for run in first["items"] + second["items"]]
    assert queued == sorted(queued, reverse=True)
    assert len(queued) == 3
    failed = world.submitter.get("/v1/planning-runs", params={"status": "failed"}).json()
    assert failed["items"] == []


def test_trigger_key_fires_once(world: World) -> None:
    """Two clocks with the same trigger make one run."""
    wanted = runs.RunRequest("daily/europe/2026-06-08", "clock", 24, 60.0, MIDNIGHT)
    with transaction(world.sessions) as session:
        first, created = runs.queue_run(session, wanted, NOW)
        assert created
    with transaction(world.sessions) as session:
        again, created = runs.queue_run(session, wanted, NOW + timedelta(hours=1))
        assert not created
        assert (again.id, again.queued_at) == (first.id, NOW)
        assert again.status is RunStatus.QUEUED
