"""Every error is problem details, RFC 9457, and names what was wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from tests.api.world import SITE, World, job, problem_of


def test_address_that_does_not_exist(world: World) -> None:
    """404 by the framework looks like any other."""
    problem = problem_of(world.admin.get("/v1/nothing"), 404, "not-found")
    assert problem["detail"] == "there is nothing at /v1/nothing"
    assert problem["instance"] == "/v1/nothing"


def test_thing_that_does_not_exist(world: World) -> None:
    """404 by a service names what was asked for."""
    problem = problem_of(world.admin.get("/v1/jobs/none"), 404, "not-found")
    assert problem["detail"] == "there is no job 'none'"
    assert problem["title"] == "Not Found"


def test_method_that_is_not_possible(world: World) -> None:
    """405 says which methods are."""
    answer = world.admin.request("DELETE", "/v1/fleet")
    problem = problem_of(answer, 405, "method-not-allowed")
    assert problem["detail"] == "DELETE is not possible at /v1/fleet"
    assert "GET" in answer.headers["allow"]


def test_body_that_is_no_json(world: World) -> None:
    """The body is named, with what the parser did not like."""
    headers = {"content-type": "application/json"}
    answer = world.admin.post("/v1/jobs", content="{half", headers=headers)
    (error,) = problem_of(answer, 422, "invalid")["errors"]
    assert error["object"] == "body"
    assert error["limit"].startswith("JSON: ")


def test_every_wrong_field_is_named_with_value_and_limit(world: World) -> None:
    """Two mistakes in one body are both told."""
    body = {"sites": [SITE | {"pue": 0.5}], "planning": {"mip_gap": 7}}
    problem = problem_of(world.admin.put("/v1/fleet", json=body), 422, "invalid")
    told = {error["field"]: (error["value"], error["limit"]) for error in problem["errors"]}
    assert told["sites.0.pue"] == (0.5, "greater than or equal to 1")
    assert told["planning.mip_gap"] == (7, "less than 1")


def test_unknown_field_is_refused(world: World) -> None:
    """A misspelt field is not silently ignored."""
    answer = world.submitter.post("/v1/jobs", json=job() | {"dedline_at": "x"})
    (error,) = problem_of(answer, 422, "invalid")["errors"]
    assert error["field"] == "dedline_at"


def test_wrong_parameters_of_the_address_are_named(world: World) -> None:
    """Query and path are told apart from the body."""
    answer = world.submitter.get("/v1/jobs", params={"limit": 0, "status": "asleep"})
    errors = problem_of(answer, 422, "invalid")["errors"]
    assert [(error["object"], error["field"]) for error in errors] == [
        ("query", "limit"),
        ("query", "status"),
    ]
    answer = world.submitter.get("/v1/plans/7")
    (error,) = problem_of(answer, 422, "invalid")["errors"]
    assert (error["object"], error["field"], error["value"]) == ("path", "plan_id", "7")


def test_not_a_number_is_refused_and_told(world: World) -> None:
    """JSON of Python clients may hold NaN; the answer must not."""
    body = '{"name": "x", "work_hours": NaN}'
    headers = {"content-type": "application/json"}
    answer = world.submitter.post("/v1/jobs", content=body, headers=headers)
    errors = {error["field"]: error for error in problem_of(answer, 422, "invalid")["errors"]}
    assert errors["work_hours"]["value"] == "nan"


def test_body_with_announced_length_beyond_the_limit(world: World) -> None:
    """413 before it is read."""
    answer = world.operator.post("/v1/signals", content=b" " * 100_001)
    problem = problem_of(answer, 413, "request-entity-too-large")
    assert problem["detail"] == "the request body is larger than 100000 bytes"


def test_chunked_body_beyond_the_limit(world: World) -> None:
    """413 while it is read, where no length was announced."""

    class Chunks(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            for _ in range(11):
                yield b" " * 10_000

    headers = {"content-type": "application/json"}
    answer = world.operator.post("/v1/signals", content=Chunks(), headers=headers)
    problem_of(answer, 413, "request-entity-too-large")


def test_unexpected_error_tells_nothing_about_the_inside(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """500 names the class only; the log has the rest."""

    def fail(_session: Session) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr("scheduler.services.fleet.current", fail)
    problem = problem_of(world.admin.get("/v1/fleet"), 500, "failed")
    assert "RuntimeError" in problem["detail"]
    assert "hunter2" not in str(problem)
    assert "hunter2" in caplog.text


@pytest.fixture
def failing_commit(world: World) -> Iterator[list[Exception]]:
    """Let every commit raise the one exception in the list, until it is empty."""
    failures: list[Exception] = []

    def fail(_session: Session) -> None:
        if failures:
            raise failures[0]

    event.listen(world.sessions, "before_commit", fail)
    yield failures
    event.remove(world.sessions, "before_commit", fail)


def test_failing_commit_is_not_answered_with_success(
    world: World, failing_commit: list[Exception]
) -> None:
    """What was not stored must not be confirmed."""
    failing_commit.append(RuntimeError("disk full"))
    problem_of(world.operator.post("/v1/planning-runs", json={}), 500, "failed")
    failing_commit.clear()
    assert world.operator.get("/v1/planning-runs").json()["items"] == []


def test_database_that_went_away_asks_for_a_retry(
    world: World, failing_commit: list[Exception]
) -> None:
    """503 with Retry-After: the client did nothing wrong."""
    for error_class in (OperationalError, InterfaceError):
        failing_commit[:] = [error_class("COMMIT", {}, Exception("connection reset"))]
        answer = world.operator.post("/v1/planning-runs", json={})
        problem_of(answer, 503, "database-unavailable")
        assert int(answer.headers["Retry-After"]) > 0


def test_database_without_a_table_does_not_ask_for_a_retry(world: World, engine: Engine) -> None:
    """It will not come back by itself: the log has what is missing."""
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE dispatch_command"))
    answer = world.submitter.get("/v1/dispatch-commands")
    problem_of(answer, 500, "failed")
    assert "Retry-After" not in answer.headers
