"""Energy of jobs, as people and machines see it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from connectors.types import PowerScope
from scheduler.db.models import JobEnergy, JobStatus
from scheduler.db.session import transaction
from tests.api.world import NOW, World, job


def settle(world: World, start: int, **changes: Any) -> None:
    """Put a start of the job ``train`` on record."""
    row = {"site": "DE", "started_at": NOW, "ended_at": NOW + timedelta(hours=1), "kwh": 4.25}
    row |= {"source": "slurmdbd", "scope": PowerScope.NODES, "reason": "", "recorded_at": NOW}
    job_id = world.set_job("train", JobStatus.SUCCEEDED, "DE")
    with transaction(world.sessions) as session:
        session.add(JobEnergy(**row | changes, job_id=job_id, start=start))


def test_a_job_shows_the_energy_of_its_starts_and_their_sum(world: World) -> None:
    """None before anything is on record; the list shows the same."""
    assert world.submitter.post("/v1/jobs", json=job()).status_code == 201
    assert world.submitter.get("/v1/jobs/train").json()["energy"] is None
    settle(world, 1)
    settle(world, 2, kwh=None, reason="it shared its nodes")
    settle(world, 3, kwh=1.0)
    shown = world.submitter.get("/v1/jobs/train").json()["energy"]
    assert (shown["kwh"], shown["scope"], shown["starts_measured"]) == (5.25, "nodes", 2)
    assert [run["kwh"] for run in shown["runs"]] == [4.25, None, 1.0]
    assert shown["runs"][1]["reason"] == "it shared its nodes"
    assert {run["source"] for run in shown["runs"]} == {"slurmdbd"}
    (listed,) = world.submitter.get("/v1/jobs").json()["items"]
    assert listed["energy"] == shown
