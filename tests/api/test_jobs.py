"""Jobs: submitted once, listed in stable pages, cancelled, read from."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from scheduler.db.models import Job, JobStatus
from scheduler.db.session import transaction
from tests.api.client import Client
from tests.api.world import MIDNIGHT, NOW, SITE, World, job, problem_of


def test_submitted_job_can_be_read_by_name_and_id(world: World) -> None:
    """The answer says where it is; both addresses lead to the same job."""
    answer = world.submitter.post("/v1/jobs", json=job())
    assert answer.status_code == 201
    location = answer.headers["Location"]
    assert location == f"/v1/jobs/{answer.json()['id']}"
    by_id, by_name = world.submitter.get(location), world.submitter.get("/v1/jobs/train")
    assert by_id.json() == by_name.json() == answer.json()
    assert by_id.json()["status"] == "waiting"
    assert by_id.json()["submitted_by"] == "submitter"


def test_same_key_and_body_is_the_same_job(world: World) -> None:
    """A client that did not see the answer asks again."""
    key = {"Idempotency-Key": "attempt-1"}
    first = world.submitter.post("/v1/jobs", json=job(), headers=key)
    again = world.submitter.post("/v1/jobs", json=job(), headers=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()


def test_a_job_of_before_a_field_was_there_is_the_same_job(world: World) -> None:
    """A client asks again after an upgrade: what its body does not name has its default."""
    key = {"Idempotency-Key": "attempt-1"}
    body = job(pausing={"min_run_minutes": 60})
    first = world.submitter.post("/v1/jobs", json=body, headers=key).json()
    with transaction(world.sessions) as session:
        row = session.get_one(Job, UUID(first["id"]))
        pausing = {"min_run_minutes": 60.0, "restart_minutes": 0.0}
        row.spec = row.spec | {"pausing": pausing}
    assert world.submitter.post("/v1/jobs", json=body, headers=key).status_code == 200


def test_same_key_with_another_body_is_a_conflict(world: World) -> None:
    """One of the two would be lost."""
    key = {"Idempotency-Key": "attempt-1"}
    world.submitter.post("/v1/jobs", json=job(), headers=key)
    answer = world.submitter.post("/v1/jobs", json=job(work_hours=3), headers=key)
    assert "with another body" in problem_of(answer, 409, "conflict")["detail"]


def test_keys_of_different_people_do_not_meet(world: World) -> None:
    """The key is the caller's own."""
    key = {"Idempotency-Key": "attempt-1"}
    world.submitter.post("/v1/jobs", json=job("a"), headers=key)
    assert world.operator.post("/v1/jobs", json=job("b"), headers=key).status_code == 201


def test_variables_of_a_job_are_shown_to_its_owner_and_to_operators(world: World) -> None:
    """They may hold tokens; another submitter sees which there are, not what they are."""
    secret = job(command=["train"], environment={"TOKEN": "hush"})
    world.submitter.post("/v1/jobs", json=secret)
    made = world.admin.post("/v1/keys", json={"name": "bob", "role": "submitter"}).json()
    bob = Client(world.app, made["key"])
    for path in ("/v1/jobs", "/v1/jobs/train"):
        assert "hush" in world.submitter.get(path).text
        assert "hush" in world.operator.get(path).text
        assert "hush" not in bob.get(path).text
    shown = bob.get("/v1/jobs/train").json()["spec"]
    assert (shown["environment"], shown["command"]) == ({"TOKEN": "(hidden)"}, ["train"])


def test_name_that_is_taken_is_a_conflict(world: World) -> None:
    """Plans and logs go by name."""
    world.submit("train")
    answer = world.submitter.post("/v1/jobs", json=job())
    assert problem_of(answer, 409, "conflict")["detail"] == "job train: the name is taken"


@pytest.mark.parametrize(
    ("changes", "field", "value", "limit"),
    [
        ({"sites": ["FR"]}, "sites", "FR", "one of DE"),
        ({"data": {"site": "FR", "size_gb": 1}}, "data.site", "FR", "one of DE"),
        ({"after": ["earlier"]}, "after", "earlier", "a job submitted before"),
        (
            {"operating_points": [{"pool": "h100", "gpus": 1, "kw": 1}]},
            "operating_points.pool",
            "h100",
            "one of a100, the pools at DE",
        ),
        (
            {"operating_points": [{"pool": "a100", "gpus": 17, "kw": 1}]},
            "operating_points.gpus",
            17,
            "<= 16, the most in a pool a100 at DE",
        ),
        ({"command": []}, "command", "()", "a program to run and its arguments"),
        (
            {"work_hours": 25},
            "deadline_at",
            "2026-06-09T00:00:00+00:00",
            ">= 2026-06-09T01:00:00+00:00, when it ends at its fastest"
            " if started at 2026-06-08T00:00:00+00:00",
        ),
    ],
)
def test_job_that_no_plan_could_run_is_refused(
    world: World, changes: dict[str, Any], field: str, value: object, limit: str
) -> None:
    """Object, value and limit are named at once, not after the next planning run."""
    answer = world.submitter.post("/v1/jobs", json=job(**changes))
    assert problem_of(answer, 422, "invalid")["errors"] == [
        {"object": "job train", "field": field, "value": value, "limit": limit}
    ]


def test_job_whose_deadline_has_passed_is_refused(world: World) -> None:
    """It could be released yesterday, but not be done by yesterday."""
    yesterday = {
        "release_at": (NOW - timedelta(hours=24)).isoformat(),
        "deadline_at": (NOW - timedelta(hours=12)).isoformat(),
    }
    answer = world.submitter.post("/v1/jobs", json=job(**yesterday))
    (error,) = problem_of(answer, 422, "invalid")["errors"]
    assert error["field"] == "deadline_at"


def test_data_without_a_link_to_any_usable_site_is_refused(world: World) -> None:
    """The job could start nowhere."""
    world.admin.put("/v1/sites/FR", json=SITE | {"name": "FR"})
    changes = {"sites": ["DE"], "data": {"site": "FR", "size_gb": 1}}
    answer = world.submitter.post("/v1/jobs", json=job(**changes))
    (error,) = problem_of(answer, 422, "invalid")["errors"]
    assert error["limit"] == "linked to one of DE"


def test_job_after_one_that_failed_is_refused(world: World) -> None:
    """Its turn would never come."""
    world.submit("first")
    world.set_job("first", JobStatus.FAILED)
    answer = world.submitter.post("/v1/jobs", json=job(after=["first"]))
    (error,) = problem_of(answer, 422, "invalid")["errors"]
    assert error["limit"] == "a job that can still succeed; it has failed"


def test_job_may_follow_one_that_waits(world: World) -> None:
    """Precedence is for the plan to keep."""
    world.submit("first")
    assert world.submitter.post("/v1/jobs", json=job(after=["first"])).status_code == 201


def names(world: World, **query: Any) -> list[str]:
    """Names of the jobs listed for ``query``."""
    return [row["name"] for row in world.submitter.get("/v1/jobs", params=query).json()["items"]]


def test_filters_narrow_the_list(world: World) -> None:
    """Each filter by itself, and two together."""
    soon = (MIDNIGHT + timedelta(hours=6)).isoformat()
    world.submit("Train-1", tenant="vision")
    world.submit("train-2", tenant="speech", deadline_at=soon)
    world.submit("eval-1", tenant="speech")
    world.set_job("eval-1", JobStatus.RUNNING, "DE")
    assert set(names(world)) == {"Train-1", "train-2", "eval-1"}
    assert names(world, status="running") == ["eval-1"]
    assert names(world, site="DE") == ["eval-1"]
    assert names(world, tenant="vision") == ["Train-1"]
    assert names(world, name_prefix="train") == ["train-2"]
    assert names(world, deadline_before=(MIDNIGHT + timedelta(hours=7)).isoformat()) == ["train-2"]
    assert names(world, tenant="speech", status="waiting") == ["train-2"]


def test_pages_neither_skip_nor_repeat_while_jobs_come_in(world: World) -> None:
    """A cursor marks a row, not a number of rows."""
    world.submit(*(f"old-{number}" for number in range(5)))
    seen: list[str] = []
    cursor: dict[str, str] = {}
    for turn in range(3):
        page = world.submitter.get("/v1/jobs", params={"limit": 2} | cursor).json()
        seen += [row["name"] for row in page["items"]]
        cursor = {"cursor": page["next_cursor"]}
        world.now += timedelta(seconds=1)
        world.submit(f"new-{turn}")
    assert page["next_cursor"] is None
    assert sorted(seen) == [f"old-{number}" for number in range(5)]


@pytest.mark.parametrize("cursor", ["nonsense", "bm8=", "\u00e9"])
def test_made_up_cursor_is_refused(world: World, cursor: str) -> None:
    """A cursor is only what an earlier page gave."""
    answer = world.submitter.get("/v1/jobs", params={"cursor": cursor})
    (error,) = problem_of(answer, 422, "invalid")["errors"]
    assert (error["object"], error["field"]) == ("page", "cursor")


def test_waiting_job_is_cancelled_at_once(world: World) -> None:
    """No cluster has it; cancelling twice changes nothing."""
    world.submit("train")
    first = world.submitter.post("/v1/jobs/train/cancel")
    again = world.submitter.post("/v1/jobs/train/cancel")
    assert first.json()["status"] == "cancelled"
    assert first.json()["reason"] == "cancelled by submitter"
    assert first.json() == again.json()


def test_running_job_is_asked_to_end(world: World) -> None:
    """Dispatch does it, and only then is it cancelled."""
    world.submit("train")
    world.set_job("train", JobStatus.RUNNING, "DE")
    answer = world.submitter.post("/v1/jobs/train/cancel").json()
    assert answer["status"] == "running"
    assert answer["cancel_requested_at"] is not None


def test_job_that_ended_cannot_be_cancelled(world: World) -> None:
    """What has happened stays so."""
    world.submit("train")
    world.set_job("train", JobStatus.SUCCEEDED, "DE")
    answer = world.submitter.post("/v1/jobs/train/cancel")
    assert "has already succeeded" in problem_of(answer, 409, "conflict")["detail"]


def test_submitters_cancel_their_own_jobs_only(world: World) -> None:
    """An operator may cancel any."""
    world.operator.post("/v1/jobs", json=job())
    answer = world.submitter.post("/v1/jobs/train/cancel")
    assert "was submitted by operator" in problem_of(answer, 403, "forbidden")["detail"]
    assert world.admin.post("/v1/jobs/train/cancel").status_code == 200


def test_logs_are_read_from_the_cluster_of_the_job(world: World) -> None:
    """All lines, and with follow those to come."""
    world.submit("train")
    key = str(world.set_job("train", JobStatus.RUNNING, "DE"))
    world.cluster.lines[key] = ["step 1", "step 2"]
    answer = world.submitter.get("/v1/jobs/train/logs")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text == "step 1\nstep 2\n"
    followed = world.submitter.get("/v1/jobs/train/logs", params={"follow": True})
    assert followed.text == "step 1\nstep 2\nand it ended\n"
    world.cluster.lines[key] = []
    assert world.submitter.get("/v1/jobs/train/logs").text == ""


def test_logs_that_cannot_be_had_are_a_problem(world: World) -> None:
    """Not started, unknown cluster, or a cluster that is away: each says so."""
    world.submit("train")
    answer = world.submitter.get("/v1/jobs/train/logs")
    assert "has not been started yet" in problem_of(answer, 409, "conflict")["detail"]
    world.set_job("train", JobStatus.RUNNING, "FR")
    problem_of(world.submitter.get("/v1/jobs/train/logs"), 404, "not-found")
    world.set_job("train", JobStatus.RUNNING, "DE")
    world.cluster.is_away = True
    answer = world.submitter.get("/v1/jobs/train/logs")
    assert problem_of(answer, 503, "cluster-unavailable")["detail"] == "cluster DE: no answer"


def test_explanation_says_what_else_was_possible(world: World) -> None:
    """In instants, with the cost of each alternative."""
    world.submit("train")
    plan_id = world.plan()
    world.operator.post(f"/v1/plans/{plan_id}/approve", json={})
    told = world.submitter.get("/v1/jobs/train/explanation").json()
    assert (told["job"], told["site"], told["plan_id"]) == ("train", "DE", str(plan_id))
    assert told["runs"] == [
        {
            "point": "DE/a100x4",
            "start_at": "2026-06-08T00:00:00Z",
            "end_at": "2026-06-08T02:00:00Z",
        }
    ]
    assert told["cost_eur"] > 0
    assert told["carbon_intensity_name"] == "location-based average"
    assert told["reason"]


def test_explanation_needs_a_plan_in_force_with_the_job(world: World) -> None:
    """A job that came later is in the next plan."""
    world.submit("train")
    problem_of(world.submitter.get("/v1/jobs/train/explanation"), 404, "not-found")
    plan_id = world.plan()
    world.operator.post(f"/v1/plans/{plan_id}/approve", json={})
    world.submit("later")
    answer = world.submitter.get("/v1/jobs/later/explanation")
    assert "not in the plan in force" in problem_of(answer, 409, "conflict")["detail"]
