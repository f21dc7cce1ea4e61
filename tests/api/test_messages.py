"""Streams over HTTP: pushed in batches, each message stored or kept with the reason."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from scheduler.db.models import Role
from scheduler.db.session import transaction
from scheduler.services import keys
from tests.api.client import Client
from tests.api.world import FLEET, NOW, SITE, World, problem_of

NDJSON = {"content-type": "application/x-ndjson"}


def reading(number: int = 0, **changes: Any) -> dict[str, Any]:
    """The meter of the site, so many seconds ago."""
    return {
        "source": "gateway",
        "id": str(number),
        "site": "DE",
        "series": "site_power",
        "at": (NOW - timedelta(seconds=number)).isoformat(),
        "value": 40.0 + number,
        "unit": "kW",
        "sent_at": (NOW - timedelta(seconds=2)).isoformat(),
    } | changes


def counts(answer: Any) -> tuple[int, int, int, int]:
    """Stored, unchanged, duplicates, dead."""
    assert answer.status_code == 200, answer.text
    told = answer.json()
    return told["stored"], told["unchanged"], told["duplicates"], told["dead_letters"]


def values(world: World, **query: Any) -> list[float]:
    """The meter's readings of the last hour."""
    asked = {
        "site": "DE",
        "series": "site_power",
        "start": (NOW - timedelta(hours=1)).isoformat(),
        "end": (NOW + timedelta(hours=1)).isoformat(),
    }
    answer = world.submitter.get("/v1/telemetry/readings", params=asked | query)
    assert answer.status_code == 200, answer.text
    return [row["value"] for row in answer.json()["readings"]]


def test_a_batch_is_pushed_as_an_array_or_as_lines(world: World) -> None:
    """And one that is sent again, since no answer came, is known again either way."""
    batch = [reading(number) for number in range(3)]
    assert counts(world.sender.post("/v1/messages", json=batch)) == (3, 0, 0, 0)
    lines = "\n".join(json.dumps(one) for one in [*batch, reading(3)]) + "\n\n"
    answer = world.sender.post("/v1/messages", content=lines.encode(), headers=NDJSON)
    assert counts(answer) == (1, 0, 3, 0)
    assert values(world) == [43.0, 42.0, 41.0, 40.0]


def test_bad_messages_are_told_and_kept_and_stand_in_no_others_way(world: World) -> None:
    """With their place in the batch and the reason; the operator finds them again."""
    lines = b"\n".join((b"{", json.dumps(reading()).encode(), b'{"site": "DE"}'))
    answer = world.sender.post("/v1/messages", content=lines, headers=NDJSON)
    assert counts(answer) == (1, 0, 0, 2)
    assert [one["index"] for one in answer.json()["reasons"]] == [0, 2]
    page = world.operator.get("/v1/dead-letters").json()
    assert {row["body"] for row in page["items"]} == {"{", '{"site": "DE"}'}
    assert all(row["subject"] == "sender" and row["reason"] for row in page["items"])
    assert world.operator.get("/v1/dead-letters", params={"stream": "mqtt"}).json()["items"] == []


@pytest.mark.parametrize("body", [b"", b"{", b'{"site": 1}', b"[]", b"\xff", b"[" * 5000])
def test_what_is_no_batch_is_refused_whole(world: World, body: bytes) -> None:
    """It is not one of messages, so none is a dead letter."""
    answer = world.sender.post(
        "/v1/messages", content=body, headers={"content-type": "application/json"}
    )
    problem_of(answer, 422, "invalid")
    assert world.operator.get("/v1/dead-letters").json()["items"] == []


def test_a_batch_is_bounded(world: World) -> None:
    """In messages as in bytes."""
    many = b"\n".join([b"1"] * 10_001)
    problem_of(world.sender.post("/v1/messages", content=many, headers=NDJSON), 422, "invalid")
    large = b"x" * 100_001
    answer = world.sender.post("/v1/messages", content=large, headers=NDJSON)
    problem_of(answer, 413, "request-entity-too-large")


def test_nothing_is_taken_before_there_is_a_fleet(empty_world: World) -> None:
    """The sender keeps it and comes again."""
    answer = empty_world.sender.post("/v1/messages", json=[reading()])
    assert "no fleet has been set" in problem_of(answer, 409, "conflict")["detail"]


def test_a_sender_of_one_site_speaks_for_no_other(world: World) -> None:
    """Its key says for which; what it says of another is kept, and not believed."""
    other = {**SITE, "name": "FR"}
    assert world.admin.put("/v1/fleet", json=FLEET | {"sites": [SITE, other]}).status_code == 200
    body = {"name": "gateway-fr", "role": "sender", "sites": ["FR"]}
    made = world.admin.post("/v1/keys", json=body)
    assert made.json()["sites"] == ["FR"]
    client = Client(world.app, made.json()["key"])
    answer = client.post("/v1/messages", json=[reading(), reading(site="FR")])
    assert counts(answer) == (1, 0, 0, 1)
    assert "must be of FR, which gateway-fr is for" in answer.json()["reasons"][0]["reason"]
    problem_of(client.get("/v1/telemetry"), 403, "forbidden")


def test_only_senders_are_kept_to_sites(world: World) -> None:
    """A key that may plan may plan for all."""
    body = {"name": "alice", "role": "operator", "sites": ["DE"]}
    problem = problem_of(world.admin.post("/v1/keys", json=body), 422, "invalid")
    assert "keys of role operator are for every site" in problem["detail"]


def test_a_sender_cannot_log_in_to_the_pages(world: World) -> None:
    """A key that stands in a meter cabinet opens nothing."""
    secret = world.secrets[Role.SENDER]
    answer = world.client(None).post("/login", data={"key": secret})
    assert answer.status_code == 403
    assert "sending messages only" in answer.text
    page = world.client(None).get("/", headers={"Cookie": f"gridtide_key={secret}"})
    assert (page.status_code, page.headers["location"]) == (303, "/login")


def test_scope_of_a_key_is_kept_with_it(world: World) -> None:
    """And found again when it calls."""
    with transaction(world.sessions) as session:
        _, secret = keys.create_key(session, "g", Role.SENDER, NOW, ["FR", "DE", "FR"])
        caller = keys.authenticate(session, secret)
    assert caller == keys.Caller("g", Role.SENDER, frozenset({"DE", "FR"}))


def test_last_readings_are_of_the_last_hour(world: World) -> None:
    """One of each device, with its unit."""
    gpu = {"series": "gpu_power", "unit": "W", "device": "node-1/0"}
    old = reading(7200, device="old", series="gpu_power", unit="W")
    world.sender.post("/v1/messages", json=[reading(5), reading(1), reading(2, **gpu), old])
    rows = world.submitter.get("/v1/telemetry", params={"site": "DE"}).json()
    told = [(row["series"], row["device"], row["value"], row["unit"]) for row in rows]
    assert told == [("gpu_power", "node-1/0", 42.0, "W"), ("site_power", "", 41.0, "kW")]
    assert world.submitter.get("/v1/telemetry", params={"site": "XX"}).json() == []


def test_a_long_range_is_read_piece_by_piece(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each says where the next begins."""
    monkeypatch.setattr("scheduler.services.telemetry.MOST_READINGS", 2)
    world.sender.post("/v1/messages", json=[reading(number) for number in range(5)])
    query = {"site": "DE", "series": "site_power", "end": (NOW + timedelta(hours=1)).isoformat()}
    start: str | None = (NOW - timedelta(hours=1)).isoformat()
    found: list[float] = []
    while start is not None:
        page = world.submitter.get("/v1/telemetry/readings", params=query | {"start": start}).json()
        found += [row["value"] for row in page["readings"]]
        start = page["next_start"]
    assert found == [44.0, 43.0, 42.0, 41.0, 40.0]


@pytest.mark.parametrize("hours", [0, -1, 24 * 31 + 1])
def test_a_range_is_bounded(world: World, hours: int) -> None:
    """And not backwards."""
    query = {
        "site": "DE",
        "series": "site_power",
        "start": NOW.isoformat(),
        "end": (NOW + timedelta(hours=hours)).isoformat(),
    }
    problem_of(world.submitter.get("/v1/telemetry/readings", params=query), 422, "invalid")


def test_how_a_stream_stands_is_shown_and_watched(world: World) -> None:
    """Counts, delay and the last message, for people and for Prometheus."""
    world.sender.post("/v1/messages", json=[reading(), reading(), reading(value=-1e9, unit="W")])
    (stream,) = world.submitter.get("/v1/streams").json()
    told = [stream[name] for name in ("stored", "unchanged", "duplicates", "dead_letters")]
    assert (stream["stream"], told) == ("http", [1, 0, 1, 1])
    assert stream["delay_s"] == pytest.approx(2.0)
    text = world.submitter.get("/metrics").text
    for line in (
        'gridtide_stream_messages_total{outcome="stored",stream="http"} 1.0',
        'gridtide_stream_messages_total{outcome="duplicates",stream="http"} 1.0',
        'gridtide_stream_messages_total{outcome="dead_letters",stream="http"} 1.0',
        'gridtide_stream_delay_seconds{stream="http"} 2.0',
        'gridtide_stream_connected{stream="http"} 1.0',
    ):
        assert line in text
