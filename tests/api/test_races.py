"""What happens when several people, or several processes, do the same thing at once."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp

from scheduler.db.models import PlanStatus, Role
from scheduler.db.session import transaction
from scheduler.services import plans, runs
from scheduler.services.paging import PageRequest
from tests.api.client import Client
from tests.api.world import FLEET, MIDNIGHT, NOW, SITE, World, job

N_AT_ONCE = 8


def at_once(*requests: tuple[Any, str, dict[str, Any]]) -> list[int]:
    """POST or PUT all ``requests`` at the same moment; their statuses in order."""
    barrier = Barrier(len(requests))

    def send(entry: tuple[Any, str, dict[str, Any]]) -> int:
        method, path, options = entry
        barrier.wait()
        status: int = method(path, **options).status_code
        return status

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(send, requests))


def in_force(world: World) -> int:
    """How many plans are in force."""
    with transaction(world.sessions) as session:
        page = plans.list_plans(session, PlanStatus.IN_FORCE, PageRequest())
        return len(page.items)


def test_of_many_plans_approved_at_once_one_is_in_force(world: World) -> None:
    """Each approval either stands, is superseded by a later one, or is told of the conflict."""
    made = [world.plan() for _ in range(4)]
    approval = {"json": {}}
    statuses = at_once(
        *((world.operator.post, f"/v1/plans/{plan_id}/approve", approval) for plan_id in made)
    )
    assert set(statuses) <= {200, 409}
    assert 200 in statuses
    assert in_force(world) == 1


def test_one_plan_approved_by_many_is_approved_once(world: World) -> None:
    """The others are told that it was decided on."""
    plan_id = world.plan()
    path = f"/v1/plans/{plan_id}/approve"
    statuses = at_once(*[(world.operator.post, path, {"json": {}})] * 4)
    assert sorted(statuses) == [200, 409, 409, 409]
    assert in_force(world) == 1


def test_plan_approved_and_rejected_at_once_is_one_of_them(world: World) -> None:
    """Never both."""
    plan_id = world.plan()
    statuses = at_once(
        (world.operator.post, f"/v1/plans/{plan_id}/approve", {"json": {}}),
        (world.operator.post, f"/v1/plans/{plan_id}/reject", {"json": {}}),
    )
    assert sorted(statuses) == [200, 409]
    assert in_force(world) == (statuses[0] == 200)


def test_concurrent_triggers_queue_one_run(world: World) -> None:
    """Eight clocks fire the same trigger; all of them get the one run."""
    wanted = runs.RunRequest("daily/europe/2026-06-08", "clock", 24, 60.0, MIDNIGHT)
    barrier = Barrier(N_AT_ONCE)

    def fire(_: int) -> tuple[str, bool]:
        barrier.wait()
        with transaction(world.sessions) as session:
            run, created = runs.queue_run(session, wanted, NOW)
            return str(run.id), created

    with ThreadPoolExecutor(N_AT_ONCE) as pool:
        fired = list(pool.map(fire, range(N_AT_ONCE)))
    assert sum(created for _, created in fired) == 1
    assert len({run_id for run_id, _ in fired}) == 1


def test_same_job_submitted_many_times_at_once_is_one_job(world: World) -> None:
    """One answer says created, the others say the same."""
    options = {"json": job(), "headers": {"Idempotency-Key": "k"}}
    statuses = at_once(*[(world.submitter.post, "/v1/jobs", options)] * N_AT_ONCE)
    assert sorted(statuses) == [200] * (N_AT_ONCE - 1) + [201]
    assert len(world.submitter.get("/v1/jobs").json()["items"]) == 1


def test_one_name_wanted_by_many_goes_to_one(world: World) -> None:
    """Without a key these are different requests."""
    statuses = at_once(*[(world.submitter.post, "/v1/jobs", {"json": job()})] * 4)
    assert sorted(statuses) == [201, 409, 409, 409]


def test_admins_revoking_each_other_leave_one(world: World) -> None:
    """Somebody must be able to make the next key."""
    other = world.admin.post("/v1/keys", json={"name": "second", "role": "admin"}).json()
    first = next(key for key in world.admin.get("/v1/keys").json() if key["name"] == "admin")
    second = Client(world.app, other["key"])
    statuses = at_once(
        (world.admin.post, f"/v1/keys/{other['id']}/revoke", {}),
        (second.post, f"/v1/keys/{first['id']}/revoke", {}),
    )
    # The one that came second is a conflict, or its key was worthless by then.
    assert sorted(statuses) in ([200, 401], [200, 409])


def test_two_changes_of_one_fleet_version_do_not_lose_either(world: World) -> None:
    """Sites added at once are all there, or their senders know that they are not."""
    additions = [
        (world.admin.put, f"/v1/sites/S{number}", {"json": SITE | {"name": f"S{number}"}})
        for number in range(4)
    ]
    statuses = at_once(*additions)
    assert set(statuses) <= {200, 409}
    sites = {site["name"] for site in world.submitter.get("/v1/sites").json()}
    accepted = {f"S{number}" for number, status in enumerate(statuses) if status == 200}
    assert sites == accepted | {"DE"}
    assert len(FLEET["sites"]) == 1


def test_the_first_requests_of_an_app_may_come_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The framework puts an app together at its first request, and then in every thread."""
    barrier = Barrier(N_AT_ONCE)
    build = FastAPI.build_middleware_stack

    def at_the_same_moment(app: FastAPI) -> ASGIApp:
        barrier.wait(10)
        return build(app)

    monkeypatch.setattr(FastAPI, "build_middleware_stack", at_the_same_moment)
    statuses = at_once(*[(world.submitter.get, "/v1/sites", {})] * N_AT_ONCE)
    assert statuses == [200] * N_AT_ONCE
    counted = 'gridtide_http_requests_total{method="GET",route="/v1/sites",status="200"}'
    assert f"{counted} {N_AT_ONCE:.1f}" in world.submitter.get("/metrics").text


def test_many_requests_at_once_are_all_answered(world: World) -> None:
    """More than there are connections and threads: they queue, and none waits for another's."""
    n_requests = 150

    async def ask(client: httpx.AsyncClient, number: int) -> int:
        path = ("/v1/jobs", "/health/ready", "/v1/fleet")[number % 3]
        return (await client.get(path)).status_code

    async def ask_all() -> list[int]:
        transport = httpx.ASGITransport(world.app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {world.secrets[Role.SUBMITTER]}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://gridtide", headers=headers
        ) as client:
            return await asyncio.gather(*(ask(client, number) for number in range(n_requests)))

    assert asyncio.run(ask_all()) == [200] * n_requests
