"""Arrays of jobs over the API: handed in at once, listed and cancelled as a whole."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.db.models import Job, JobStatus
from scheduler.services import job_arrays
from scheduler.services.jobs import cancel_job
from scheduler.services.keys import Caller
from tests.api.world import World, job, problem_of


def array(tasks: str = "0-4:2", name: str = "train", **changes: Any) -> dict[str, Any]:
    """An array of a small job."""
    return job(name, array=tasks, **changes)


def names(world: World, of: str = "train") -> list[str]:
    """Jobs of an array, in order."""
    answer = world.submitter.get("/v1/jobs", params={"array": of}).json()
    return sorted(item["name"] for item in answer["items"])


def test_an_array_is_as_many_jobs_as_it_has_tasks(world: World) -> None:
    """Each by itself, with its place in the array."""
    world.submit("train-1", "other")
    answer = world.submitter.post("/v1/job-arrays", json=array())
    assert answer.status_code == 201, answer.text
    found = {"array": "train", "submitted_by": "submitter", "jobs": 3, "statuses": {"waiting": 3}}
    assert answer.json() == found
    assert world.submitter.get(answer.headers["Location"]).json() == found
    assert names(world) == ["train-0", "train-2", "train-4"]
    shown = world.submitter.get("/v1/jobs/train-2").json()
    assert shown["array"] == "train"
    task = {"array": "train", "index": 2, "first": 0, "last": 4, "step": 2, "count": 3}
    assert shown["spec"]["array_task"] == task
    assert world.submitter.get("/v1/jobs/other").json()["array"] is None
    problem_of(world.submitter.get("/v1/job-arrays/other"), 404, "not-found")


def test_the_same_request_is_the_same_array(world: World) -> None:
    """With its key; another body under it is a conflict, whichever of both is longer."""
    key = {"Idempotency-Key": "mine"}
    first = world.submitter.post("/v1/job-arrays", json=array(), headers=key)
    again = world.submitter.post("/v1/job-arrays", json=array(), headers=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    for tasks in ("0-6:2", "0", "1-3"):
        answer = world.submitter.post("/v1/job-arrays", json=array(tasks), headers=key)
        problem_of(answer, 409, "conflict")
    answer = world.submitter.post("/v1/job-arrays", json=array())
    assert "array train" in problem_of(answer, 409, "conflict")["detail"]
    assert names(world) == ["train-0", "train-2", "train-4"]


def test_all_of_it_is_taken_in_or_none(world: World) -> None:
    """A name that is taken, and what no plan could do, stand against all."""
    world.submit("train-4")
    answer = world.submitter.post("/v1/job-arrays", json=array())
    assert "train-4" in problem_of(answer, 409, "conflict")["detail"]
    answer = world.submitter.post("/v1/job-arrays", json=array(sites=["mars"]))
    assert "mars" in problem_of(answer, 422, "invalid")["detail"] + answer.text
    assert names(world) == []
    answer = world.submitter.post("/v1/job-arrays", json=array("0-9%2"))
    assert answer.status_code == 422
    assert "a limit of tasks at once is not kept" in answer.text


def test_names_of_arrays_and_jobs_are_apart(world: World) -> None:
    """Else nobody knew what is to be cancelled; nor does a job join another's array."""
    world.submit("single")
    answer = world.submitter.post("/v1/job-arrays", json=array(name="single"))
    assert "taken by a job" in problem_of(answer, 409, "conflict")["detail"]
    assert world.submitter.post("/v1/job-arrays", json=array()).status_code == 201
    answer = world.submitter.post("/v1/jobs", json=job("train"))
    assert "taken by an array" in problem_of(answer, 409, "conflict")["detail"]
    task = {"array": "train", "index": 3, "first": 0, "last": 4, "step": 2, "count": 3}
    joins = job("train-3", array_task=task)
    answer = world.operator.post("/v1/jobs", json=joins)
    assert "submitted by submitter" in problem_of(answer, 409, "conflict")["detail"]
    joins = job("train-9", array_task=task | {"index": 9, "last": 9})
    answer = world.submitter.post("/v1/jobs", json=joins)
    assert "another array of this name" in problem_of(answer, 409, "conflict")["detail"]


def test_no_task_is_called_like_an_array(world: World) -> None:
    """By itself or in an array, whichever of its tasks it is."""
    assert world.submitter.post("/v1/job-arrays", json=array(name="train-3")).status_code == 201
    answer = world.submitter.post("/v1/job-arrays", json=array("0-4"))
    words = "job train-3: the name is taken by an array"
    assert words in problem_of(answer, 409, "conflict")["detail"]
    assert names(world) == []
    task = {"array": "train", "index": 3, "first": 0, "last": 4, "step": 1, "count": 5}
    answer = world.submitter.post("/v1/jobs", json=job("train-3", array_task=task))
    assert words in problem_of(answer, 409, "conflict")["detail"]


def test_after_an_array_is_refused_in_words(world: World) -> None:
    """Its tasks can be named; files name them by themselves."""
    assert world.submitter.post("/v1/job-arrays", json=array()).status_code == 201
    answer = world.submitter.post("/v1/jobs", json=job("next", after=["train"]))
    assert "train is an array: name its tasks, train-0 to train-4" in answer.text
    after = ["train-0", "train-2", "train-4"]
    assert world.submitter.post("/v1/jobs", json=job("next", after=after)).status_code == 201


def test_an_array_is_cancelled_as_a_whole(world: World) -> None:
    """What is over stays as it is, what a cluster has is ended by dispatch; twice is once."""
    assert world.submitter.post("/v1/job-arrays", json=array()).status_code == 201
    world.set_job("train-0", JobStatus.SUCCEEDED, "DE")
    world.set_job("train-2", JobStatus.RUNNING, "DE")
    for _ in range(2):
        answer = world.submitter.post("/v1/job-arrays/train/cancel")
        assert answer.json()["statuses"] == {"succeeded": 1, "running": 1, "cancelled": 1}
    running = world.submitter.get("/v1/jobs/train-2").json()
    assert running["cancel_requested_at"] is not None


def test_a_task_that_ends_meanwhile_keeps_no_other_from_being_cancelled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dispatch sees one end while the others are called off."""
    assert world.submitter.post("/v1/job-arrays", json=array()).status_code == 201

    def cancel(session: Session, name: str, caller: Caller, now: datetime) -> Job:
        if name == "train-2":
            found = session.scalars(select(Job).where(Job.name == name)).one()
            found.status, found.site = JobStatus.SUCCEEDED, "DE"
        return cancel_job(session, name, caller, now)

    monkeypatch.setattr(job_arrays, "cancel_job", cancel)
    answer = world.submitter.post("/v1/job-arrays/train/cancel")
    assert answer.status_code == 200, answer.text
    assert answer.json()["statuses"] == {"succeeded": 1, "cancelled": 2}


@pytest.mark.parametrize("is_operator", [True, False])
def test_others_arrays_are_cancelled_by_operators_alone(world: World, is_operator: bool) -> None:
    """As single jobs are."""
    assert world.admin.post("/v1/job-arrays", json=array()).status_code == 201
    client = world.operator if is_operator else world.submitter
    answer = client.post("/v1/job-arrays/train/cancel")
    if is_operator:
        assert answer.json()["statuses"] == {"cancelled": 3}
    else:
        problem_of(answer, 403, "forbidden")
