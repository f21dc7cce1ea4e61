"""What monitoring asks for: alive, ready, and numbers."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, text

from optimizer import Progress
from scheduler.db.models import CommandKind, CommandOutcome, DispatchCommand
from scheduler.db.session import make_engine, make_session_factory, transaction
from scheduler.services.planning_queue import Lease, claim_run, fail_run, renew_lease
from tests.api.world import NOW, World

Labels = frozenset[tuple[str, str]]


def numbers(world: World) -> dict[tuple[str, Labels], float]:
    """Every sample of ``/metrics`` by name and labels."""
    answer = world.submitter.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def labels(**values: str) -> Labels:
    """Labels of one sample."""
    return frozenset(values.items())


def test_live_without_a_key(world: World) -> None:
    """A probe has none."""
    assert world.client(None).get("/health/live").json() == {"status": "alive"}


def test_ready_with_the_schema_it_needs(world: World) -> None:
    """It names the revision it found and the one it needs."""
    answer = world.client(None).get("/health/ready")
    assert answer.status_code == 200
    found = answer.json()
    assert found["is_ready"]
    assert found["schema_revision"] == found["schema_needed"]
    assert re.fullmatch(r"r\d{4}", found["schema_needed"])


def test_not_ready_on_another_schema(world: World, engine: Engine) -> None:
    """A half-finished upgrade must not serve."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'r0000'"))
    answer = world.client(None).get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["schema_revision"] == "r0000"


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://nobody@127.0.0.1:1/none", "sqlite:////nowhere/none.db"]
)
def test_not_ready_without_a_database(world: World, url: str) -> None:
    """Live all the same."""
    away = make_engine(url)
    context = world.app.state.context
    world.app.state.context = replace(context, sessions=make_session_factory(away))
    client = world.client(None)
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["database"]) == (503, "does not answer")
    assert client.get("/health/live").status_code == 200
    away.dispose()


def test_queue_and_runs_are_counted(world: World) -> None:
    """How many, and how long the oldest has waited."""
    world.operator.post("/v1/planning-runs", json={})
    world.now = NOW + timedelta(seconds=90)
    world.operator.post("/v1/planning-runs", json={})
    seen = numbers(world)
    assert seen["gridtide_planning_runs", labels(status="queued")] == 2
    assert seen["gridtide_planning_runs", labels(status="failed")] == 0
    assert seen["gridtide_planning_queue_age_seconds", labels()] == 90


def test_jobs_plans_and_commands_are_counted(world: World) -> None:
    """By status and by outcome."""
    world.submit("a", "b")
    world.plan()
    with transaction(world.sessions) as session:
        session.add(
            DispatchCommand(
                site="DE",
                kind=CommandKind.BATTERY_POWER,
                detail={},
                decided_at=NOW,
                outcome=CommandOutcome.RETRY,
            )
        )
    seen = numbers(world)
    assert seen["gridtide_jobs", labels(status="waiting")] == 2
    assert seen["gridtide_plans", labels(status="proposed")] == 1
    assert seen["gridtide_dispatch_commands", labels(outcome="retry")] == 1


def test_last_plan_is_shown_against_its_baseline(world: World) -> None:
    """Only once there is one; a gap only where one was proven."""
    assert ("gridtide_last_plan_money_eur", labels()) not in numbers(world)
    world.submit("train")
    world.plan()
    seen = numbers(world)
    assert seen["gridtide_last_plan_money_eur", labels()] == pytest.approx(0.162)
    assert seen["gridtide_last_plan_baseline_money_eur", labels()] == pytest.approx(0.162)
    assert seen["gridtide_last_plan_carbon_kg", labels()] == pytest.approx(1.202)
    assert seen["gridtide_last_plan_violations", labels()] == 0
    assert ("gridtide_last_plan_gap_ratio", labels()) not in seen


def test_a_solve_that_runs_is_shown_with_how_far_it_is(world: World) -> None:
    """Best, bound and gap by worker; a bound only once there is one, and nothing after the end."""
    world.operator.post("/v1/planning-runs", json={})
    with transaction(world.sessions) as session:
        run = claim_run(session, "host/1", NOW, NOW, 60.0)
        assert run is not None
        lease = Lease(run.id, "host/1")
    progress = Progress("insert", 3.0, 200.0)
    with transaction(world.sessions) as session:
        assert renew_lease(session, lease, NOW, 60.0, progress)
    seen = numbers(world)
    assert seen["gridtide_solve_seconds", labels(worker="host/1")] == 3.0
    assert seen["gridtide_solve_best_eur", labels(worker="host/1")] == 200.0
    assert ("gridtide_solve_bound_eur", labels(worker="host/1")) not in seen
    with transaction(world.sessions) as session:
        assert renew_lease(session, lease, NOW, 60.0, replace(progress, bound=198.0))
    seen = numbers(world)
    assert seen["gridtide_solve_bound_eur", labels(worker="host/1")] == 198.0
    assert seen["gridtide_solve_gap_ratio", labels(worker="host/1")] == pytest.approx(0.01)
    with transaction(world.sessions) as session:
        fail_run(session, lease, NOW, "no")
    assert ("gridtide_solve_seconds", labels(worker="host/1")) not in numbers(world)


def test_requests_are_counted_by_route(world: World) -> None:
    """Not by address: every job would be a series of its own."""
    world.submit("a", "b")
    for name in ("a", "b", "c"):
        world.submitter.get(f"/v1/jobs/{name}")
    world.submitter.get("/no/such/thing")
    seen = numbers(world)
    route = "/v1/jobs/{job}"
    assert (
        seen["gridtide_http_requests_total", labels(method="GET", route=route, status="200")] == 2
    )
    assert (
        seen["gridtide_http_requests_total", labels(method="GET", route=route, status="404")] == 1
    )
    unrouted = labels(method="GET", route="(none)", status="404")
    assert seen["gridtide_http_requests_total", unrouted] == 1
    assert seen["gridtide_http_request_seconds_count", labels(method="GET", route=route)] == 3
