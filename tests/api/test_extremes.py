"""Whatever a request holds, the answer is never 500: it is refused, or there is no such thing."""

from __future__ import annotations

import base64
import json
from typing import Any
from uuid import uuid4

import pytest

from tests.api.world import World, job, problem_of

FIRST = "0001-01-01T00:00:00+14:00"  # before the calendar begins in UTC
LAST = "9999-12-31T23:59:59-14:00"


@pytest.mark.parametrize("instant", [FIRST, LAST])
def test_instant_at_the_end_of_the_calendar_is_refused(world: World, instant: str) -> None:
    """In queries and in bodies alike."""
    queries = (
        ("/v1/jobs", {"deadline_before": instant}),
        ("/v1/grid-events", {"ends_after": instant}),
        ("/v1/signals/latest", {"site": "DE", "kind": "price", "start": instant, "end": LAST}),
    )
    for path, query in queries:
        problem_of(world.operator.get(path, params=query), 422, "invalid")
    bodies = (
        ("/v1/jobs", job(release_at=instant)),
        ("/v1/jobs", job(deadline_at=instant)),
        ("/v1/planning-runs", {"window_start": instant}),
        ("/v1/signals", {"source": "x", "values": [value(start_at=instant)]}),
    )
    for path, body in bodies:
        problem_of(world.operator.post(path, json=body), 422, "invalid")
    headers = {"content-type": "text/csv"}
    text = f"site,kind,start_at,minutes,value\nDE,price,{instant},60,1\n"
    answer = world.operator.post("/v1/signals/csv", content=text, headers=headers)
    problem_of(answer, 422, "invalid")


def value(**changes: Any) -> dict[str, Any]:
    """One price."""
    return {"site": "DE", "kind": "price", "start_at": "2026-06-08T00:00Z", "value": 1.0} | changes


@pytest.mark.parametrize("changes", [{"minutes": 10**15}, {"value": 1e300}, {"value": -1e300}])
def test_signal_nobody_can_reckon_with_is_refused(world: World, changes: dict[str, Any]) -> None:
    """One such value would fail every plan."""
    rows = [value(), value(start_at="2026-06-08T01:00Z", **changes)]
    answer = world.operator.post("/v1/signals", json={"source": "x", "values": rows})
    (error,) = problem_of(answer, 422, "invalid")["errors"]
    assert error["field"] in changes


@pytest.mark.parametrize("at", [FIRST, "2026-06-08T00:00:00", "2026-06-08"])
def test_cursor_with_a_made_up_instant_is_refused(world: World, at: str) -> None:
    """It has the form of one, but no page ever gave it."""
    cursor = base64.urlsafe_b64encode(f"{at}/{uuid4().hex}".encode()).decode()
    answer = world.submitter.get("/v1/jobs", params={"cursor": cursor})
    (error,) = problem_of(answer, 422, "invalid")["errors"]
    assert (error["object"], error["field"]) == ("page", "cursor")


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_text_that_cannot_be_kept_is_refused(world: World, text: str) -> None:
    """PostgreSQL keeps no NUL, and UTF-8 no half of a surrogate pair."""
    bodies = (
        ("/v1/jobs", job(command=["train", text])),
        ("/v1/jobs", job(environment={"A": text})),
        ("/v1/jobs", job(environment={text: "a"})),
        ("/v1/jobs", job(name=text)),
        ("/v1/signals", {"source": text, "values": [value()]}),
        (f"/v1/plans/{uuid4()}/approve", {"note": text}),
    )
    headers = {"content-type": "application/json"}
    for path, body in bodies:
        answer = world.operator.post(path, content=json.dumps(body), headers=headers)
        problem_of(answer, 422, "invalid")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs?tenant=%00",
        "/v1/jobs?site=%00",
        "/v1/jobs?name_prefix=%00",
        "/v1/jobs/%00",
        "/v1/jobs/%00/logs",
        "/v1/jobs/%00/explanation",
        "/v1/grid-events?site=%00",
        "/v1/grid-events/%00",
        "/v1/dispatch-commands?site=%00",
        "/v1/sites/%00",
        "/v1/schedule?site=%00",
        "/v1/jobs/%ED%A0%80",
    ],
)
def test_address_with_a_character_no_name_has_is_no_failure(world: World, path: str) -> None:
    """Nothing is called so, whatever the database makes of the question."""
    assert world.submitter.get(path).status_code in {200, 404, 422}
