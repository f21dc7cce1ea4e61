"""The fleet is versioned: changed as a whole or site by site, never edited."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scheduler.api.app import create_app
from scheduler.db.models import JobStatus, PoolState
from scheduler.db.session import transaction
from scheduler.main import outside_of
from scheduler.settings import Settings
from tests.api.world import FLEET, SITE, World, problem_of


def test_without_a_fleet_there_is_nothing_to_plan(empty_world: World) -> None:
    """Reading says there is none; requests that need one say what to do first."""
    problem_of(empty_world.admin.get("/v1/fleet"), 404, "not-found")
    answer = empty_world.operator.post("/v1/planning-runs", json={})
    assert "no fleet has been set yet" in problem_of(answer, 409, "conflict")["detail"]


def test_each_change_is_a_version(empty_world: World) -> None:
    """Old versions stay readable; the same fleet again is no change."""
    admin = empty_world.admin
    assert admin.put("/v1/fleet", json=FLEET).json()["version"] == 1
    assert admin.put("/v1/fleet", json=FLEET).json()["version"] == 1
    assert admin.put("/v1/fleet", json=FLEET | {"name": "new"}).json()["version"] == 2
    assert admin.get("/v1/fleet").json()["spec"]["name"] == "new"
    first = admin.get("/v1/fleet/versions/1").json()
    assert (first["spec"]["name"], first["created_by"]) == ("fleet", "admin")
    problem_of(admin.get("/v1/fleet/versions/3"), 404, "not-found")


def test_one_site_is_replaced_or_added(world: World) -> None:
    """The other sites and the planning rules stay."""
    larger = SITE | {"grid": {"import_limit_kw": 500}}
    assert world.admin.put("/v1/sites/DE", json=larger).status_code == 200
    assert world.admin.put("/v1/sites/FR", json=SITE | {"name": "FR"}).status_code == 200
    sites = world.submitter.get("/v1/sites").json()
    assert [(site["name"], site["grid"]["import_limit_kw"]) for site in sites] == [
        ("DE", 500),
        ("FR", 100),
    ]
    assert world.submitter.get("/v1/sites/FR").json()["name"] == "FR"
    assert world.admin.get("/v1/fleet").json()["spec"]["planning"]["horizon_hours"] == 24
    problem_of(world.submitter.get("/v1/sites/IT"), 404, "not-found")


def test_site_must_carry_the_name_in_its_address(world: World) -> None:
    """Otherwise nobody knows which of the two is meant."""
    (error,) = problem_of(world.admin.put("/v1/sites/FR", json=SITE), 422, "invalid")["errors"]
    assert (error["object"], error["field"], error["value"]) == ("site FR", "name", "DE")


def test_fleet_must_be_consistent_with_a_new_site(world: World) -> None:
    """A site in a currency without a rate is refused, also on its own."""
    dollars = SITE | {"currency": "USD"}
    (error,) = problem_of(world.admin.put("/v1/sites/DE", json=dollars), 422, "invalid")["errors"]
    assert "currency USD has no rate" in error["limit"]


def test_site_with_running_jobs_cannot_vanish(world: World) -> None:
    """The jobs there would be forgotten."""
    world.submit("train")
    world.set_job("train", JobStatus.RUNNING, "DE")
    other = {"sites": [SITE | {"name": "FR"}]}
    detail = problem_of(world.admin.put("/v1/fleet", json=other), 409, "conflict")["detail"]
    assert detail == "site DE still has job train (running)"


@pytest.mark.parametrize("number", [0, 2**31, 99999999999999999999])
def test_version_number_beyond_any_is_refused(world: World, number: int) -> None:
    """It must not reach a column that cannot hold it."""
    answer = world.submitter.get(f"/v1/fleet/versions/{number}")
    (error,) = problem_of(answer, 422, "invalid")["errors"]
    assert (error["object"], error["field"]) == ("path", "version")


SLURM = {"kind": "slurm", "folder": "/shared/gridtide"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/fleet", FLEET | {"sites": [SITE | {"cluster": SLURM}]}),
        ("/v1/sites/DE", SITE | {"cluster": SLURM}),
    ],
)
def test_fleet_that_cannot_be_connected_to_is_not_put_in_force(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    body: dict[str, Any],
) -> None:
    """Dispatch would stop for every site."""
    monkeypatch.setenv("PATH", str(tmp_path))
    before = world.admin.get("/v1/fleet").json()
    connect = outside_of(Settings(state_dir=tmp_path), lambda: world.now)
    world.app = create_app(replace(world.app.state.context, outside_of=connect))
    (error,) = problem_of(world.admin.put(path, json=body), 422, "invalid")["errors"]
    assert error == {
        "object": "site DE",
        "field": "cluster",
        "value": "slurm",
        "limit": "reached by url, or from where sbatch is installed",
    }
    assert world.admin.get("/v1/fleet").json() == before


def test_fleet_that_nobody_here_can_measure_is_not_put_in_force(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the library that asks the driver is not installed; one in force goes on without it."""
    monkeypatch.delitem(sys.modules, "connectors.power.nvml", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    connect = outside_of(Settings(state_dir=tmp_path), lambda: world.now)
    world.app = create_app(replace(world.app.state.context, outside_of=connect))
    before = world.admin.get("/v1/fleet").json()
    body = SITE | {"cluster": {"kind": "local", "power": {"kind": "nvml"}}}
    reply = world.admin.put("/v1/fleet", json=FLEET | {"sites": [body]})
    (error,) = problem_of(reply, 422, "invalid")["errors"]
    assert (error["object"], error["field"], error["value"]) == ("site DE", "cluster.power", "nvml")
    assert "gridtide[nvml]" in error["limit"]
    assert world.admin.get("/v1/fleet").json() == before


def test_pools_are_listed_as_their_clusters_saw_them(world: World) -> None:
    """With the time of the last word; nothing is made up for a cluster never heard."""
    assert world.submitter.get("/v1/pools").json() == []
    with transaction(world.sessions) as session:
        session.add(
            PoolState(
                site="DE",
                pool="a100",
                gpus_total=8,
                gpus_available=6,
                gpus_in_use=3,
                gpus_of_others=1,
                clock_ahead_s=-612.5,
                seen_at=world.now,
                silence="Unavailable: as told",
            )
        )
    assert world.submitter.get("/v1/pools").json() == [
        {
            "site": "DE",
            "pool": "a100",
            "gpus_total": 8,
            "gpus_available": 6,
            "gpus_in_use": 3,
            "gpus_of_others": 1,
            "clock_ahead_s": -612.5,
            "seen_at": world.now.isoformat().replace("+00:00", "Z"),
            "silent_since": None,
            "silence": "",
        }
    ]
    (told,) = world.operator.get("/v1/pools").json()
    assert told["silence"] == "Unavailable: as told"
    metrics = world.submitter.get("/metrics").text
    assert 'gridtide_cluster_clock_ahead_seconds{site="DE"} -612.5' in metrics
