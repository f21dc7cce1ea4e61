"""Suspicious signals are listed, counted, shown on a page, and decided on by operators."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from connectors.types import SignalKind
from scheduler.api.examples import worked_examples
from scheduler.db.models import Role
from scheduler.db.session import transaction
from scheduler.services.signals import SignalPoint, insert_values
from tests.api.test_pages import post_form, see
from tests.api.world import MIDNIGHT, NOW, World, problem_of

ADDRESS = "/v1/signals/quality"


def prices(day: int, factor: float = 1.0) -> list[float]:
    """A day with two peaks."""
    return [
        round((60 + 25 * math.sin((hour - 6) * math.pi / 12) + (7 * hour * day) % 11) * factor, 4)
        for hour in range(24)
    ]


@pytest.fixture
def flag(world: World) -> dict[str, Any]:
    """Tomorrow's prices came per kWh, after two weeks of prices per MWh."""
    with transaction(world.sessions) as session:
        for day in range(-14, 0):
            start = MIDNIGHT + timedelta(days=day)
            known_at = min(start, NOW)
            points = [
                SignalPoint(
                    "DE", SignalKind.PRICE, start + timedelta(hours=hour), 60, value, known_at
                )
                for hour, value in enumerate(prices(day))
            ]
            insert_values(session, points, "test", NOW)
    world.now = NOW + timedelta(hours=1)
    rows = [
        {
            "site": "DE",
            "kind": "price",
            "start_at": (MIDNIGHT + timedelta(hours=hour)).isoformat(),
            "value": value,
        }
        for hour, value in enumerate(prices(1, 1e-3))
    ]
    answer = world.operator.post("/v1/signals", json={"source": "feed", "values": rows})
    assert answer.json()["inserted"] == 24
    (flag,) = world.submitter.get(ADDRESS).json()["items"]
    assert isinstance(flag, dict)
    world.now += timedelta(hours=1)
    return flag


def latest(world: World) -> float:
    """The first price of tomorrow as known now."""
    end = (MIDNIGHT + timedelta(hours=1)).isoformat()
    query = {"site": "DE", "kind": "price", "start": MIDNIGHT.isoformat(), "end": end}
    (row,) = world.submitter.get("/v1/signals/latest", params=query).json()["values"]
    value: float = row["value"]
    return value


def test_a_flag_says_what_is_suspicious_and_why(world: World, flag: dict[str, Any]) -> None:
    """Signal, span, rule, source, and a sentence."""
    assert (flag["site"], flag["kind"], flag["source"]) == ("DE", "price", "feed")
    assert (flag["rule"], flag["n_values"], flag["verdict"]) == ("unit", 24, None)
    assert (flag["start_at"], flag["end_at"]) == ("2026-06-08T00:00:00Z", "2026-06-09T00:00:00Z")
    assert "a price per kWh" in flag["reason"]
    metrics = world.submitter.get("/metrics").text
    assert 'gridtide_signal_flags{rule="unit"} 1.0' in metrics
    assert 'gridtide_signal_flags{rule="gap"} 0.0' in metrics


def test_rejected_values_are_not_the_latest_any_more(world: World, flag: dict[str, Any]) -> None:
    """Until somebody confirms them after all."""
    assert latest(world) < 1
    path = f"{ADDRESS}/{flag['id']}"
    answer = world.operator.post(f"{path}/reject", json={"note": "per kWh"})
    assert answer.json()["verdict"] == "rejected"
    assert (answer.json()["decided_by"], answer.json()["note"]) == ("operator", "per kWh")
    assert latest(world) == 40.0
    assert world.submitter.get(ADDRESS).json() == {"items": [], "next_cursor": None}
    (decided,) = world.submitter.get(ADDRESS, params={"only_open": False}).json()["items"]
    assert (decided["verdict"], decided["note"]) == ("rejected", "per kWh")
    world.now += timedelta(hours=1)
    assert world.operator.post(f"{path}/confirm", json={}).json()["verdict"] == "confirmed"
    assert latest(world) < 1


def test_the_documented_decisions_work(world: World, flag: dict[str, Any]) -> None:
    """With the words of the docs."""
    for example in worked_examples(NOW):
        if "{flag_id}" in example.path:
            address = example.path.replace("{flag_id}", flag["id"])
            answer = world.operator.post(address, json=example.body)
            assert answer.json()["note"] == example.body["note"]
            world.now += timedelta(hours=1)


def test_who_only_submits_decides_nothing(world: World, flag: dict[str, Any]) -> None:
    """And what is not there is not found."""
    answer = world.submitter.post(f"{ADDRESS}/{flag['id']}/reject", json={})
    problem_of(answer, 403, "forbidden")
    problem_of(world.operator.post(f"{ADDRESS}/{uuid4()}/reject", json={}), 404, "not-found")


def test_the_page_shows_flags_and_takes_decisions(world: World, flag: dict[str, Any]) -> None:
    """From operators; to others it shows the same without forms."""
    page = see(world, "/signals", Role.OPERATOR)
    assert "a price per kWh" in page
    assert "DE carbon_intensity" in page
    path = f"/signals/{flag['id']}/reject"
    assert path in page
    assert path not in see(world, "/signals", Role.SUBMITTER)
    problem_of(post_form(world, path, Role.SUBMITTER), 403, "forbidden")
    assert latest(world) < 1
    answer = post_form(world, path, Role.OPERATOR, note="per kWh")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/signals")
    assert latest(world) == 40.0
    assert "Nothing is flagged" in see(world, "/signals", Role.OPERATOR)


def test_the_list_of_plans_leads_to_the_page(world: World) -> None:
    """It is one of the pages."""
    assert 'href="/signals"' in see(world, "/", Role.SUBMITTER)


def test_the_page_is_there_before_any_fleet(empty_world: World) -> None:
    """With nothing on it."""
    assert "Nothing is flagged" in see(empty_world, "/signals", Role.OPERATOR)
