"""Transfers of input data, as people and machines see them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from scheduler.db.models import DataTransfer, JobStatus
from scheduler.db.session import transaction
from tests.api.test_health import labels, numbers
from tests.api.world import FLEET, NOW, World, job, problem_of

DATA = {"site": "FR", "size_gb": 20, "command": ["rsync"], "environment": {"TOKEN": "hush"}}


def furnish(world: World) -> None:
    """A second site, a link from it to the first, and a job whose data lies there."""
    site = FLEET["sites"][0]
    link = {"from_site": "FR", "to_site": "DE", "gb_per_hour": 10, "eur_per_gb": 0.1}
    fleet = FLEET | {"sites": [site, site | {"name": "FR"}], "links": [link]}
    assert world.admin.put("/v1/fleet", json=fleet).status_code == 200
    assert world.submitter.post("/v1/jobs", json=job(data=DATA)).status_code == 201


def transfer(world: World, **changes: Any) -> str:
    """Put a transfer of its data on record, done in four hours; return the job's id."""
    done = {
        "status": JobStatus.SUCCEEDED,
        "starts": 1,
        "started_at": NOW,
        "ended_at": NOW + timedelta(hours=4),
        "exit_code": 0,
        "hours": 4.0,
        "eur": 2.0,
    }
    row = {"site": "DE", "from_site": "FR", "size_gb": 20.0, "ordered_at": NOW} | done | changes
    row |= {"link_gb_per_hour": 10.0, "link_eur_per_gb": 0.1}
    job_id = world.set_job("train", JobStatus.WAITING, None)
    with transaction(world.sessions) as session:
        session.add(DataTransfer(job_id=job_id, **row))
    return str(job_id)


def test_a_job_shows_what_became_of_its_data(world: World) -> None:
    """When, how, at which rate and price; and so does the list."""
    furnish(world)
    assert world.submitter.get("/v1/jobs/train").json()["transfers"] == []
    transfer(world)
    (shown,) = world.submitter.get("/v1/jobs/train").json()["transfers"]
    assert (shown["site"], shown["from_site"], shown["status"]) == ("DE", "FR", "succeeded")
    assert (shown["gb_per_hour"], shown["link_gb_per_hour"], shown["eur"]) == (5.0, 10.0, 2.0)
    (listed,) = world.submitter.get("/v1/jobs").json()["items"]
    assert listed["transfers"] == [shown]


def test_a_failed_transfer_shows_its_exit_code_and_reason(world: World) -> None:
    """No rate and no price: it did not come."""
    furnish(world)
    failed = {"status": JobStatus.FAILED, "exit_code": 23, "reason": "exit code 23"}
    transfer(world, **failed, failures=1, hours=0.5, eur=None)
    (shown,) = world.submitter.get("/v1/jobs/train").json()["transfers"]
    assert (shown["exit_code"], shown["reason"], shown["failures"]) == (23, "exit code 23", 1)
    assert (shown["gb_per_hour"], shown["eur"]) == (None, None)


def test_variables_of_a_transfer_are_shown_to_its_owner_and_to_operators(world: World) -> None:
    """Others see that there are some: they are credentials, often."""
    furnish(world)
    assert world.operator.post("/v1/jobs", json=job("other", data=DATA)).status_code == 201
    own = world.submitter.get("/v1/jobs/train").json()["spec"]["data"]
    foreign = world.submitter.get("/v1/jobs/other").json()["spec"]["data"]
    assert own["environment"] == {"TOKEN": "hush"}
    assert (foreign["environment"], foreign["command"]) == ({"TOKEN": "(hidden)"}, ["rsync"])
    assert world.operator.get("/v1/jobs/train").json()["spec"]["data"] == own


def test_links_show_what_they_came_to(world: World) -> None:
    """Beside what the fleet says of them, to mend it by; only what came at once counts there."""
    furnish(world)
    link = {"from_site": "FR", "to_site": "DE", "gb_per_hour": 10.0, "eur_per_gb": 0.1}
    none = {"transfers": 0, "moved_gb": 0.0, "paid_eur": 0.0, "mean_gb_per_hour": None}
    assert world.submitter.get("/v1/links").json() == [link | none]
    transfer(world)
    done = {"transfers": 1, "moved_gb": 20.0, "paid_eur": 2.0, "mean_gb_per_hour": 5.0}
    assert world.submitter.get("/v1/links").json() == [link | done]
    retried = done | {"mean_gb_per_hour": None}
    for not_at_once in ({"starts": 2}, {"starts": 1, "times_forgotten": 1}):
        with transaction(world.sessions) as session:
            session.query(DataTransfer).update(not_at_once)
        assert world.submitter.get("/v1/links").json() == [link | retried]


def test_transfers_are_counted_and_added_up_by_link(world: World) -> None:
    """For Prometheus."""
    furnish(world)
    transfer(world)
    seen = numbers(world)
    link = labels(from_site="FR", to_site="DE")
    assert seen["gridtide_data_transfers", labels(status="succeeded")] == 1
    assert seen["gridtide_link_moved_gb", link] == 20
    assert seen["gridtide_link_paid_eur", link] == pytest.approx(2)
    assert seen["gridtide_link_gb_per_hour", link] == pytest.approx(5)
    assert seen["gridtide_link_expected_gb_per_hour", link] == pytest.approx(10)


def test_logs_of_a_transfer_are_read_from_the_cluster_it_goes_to(world: World) -> None:
    """Before the job has a site; where there is no transfer, that is said."""
    furnish(world)
    job_id = transfer(world)
    world.cluster.lines[f"data-{job_id}-DE"] = ["sent 20 GB"]
    assert world.submitter.get("/v1/jobs/train/transfers/DE/logs").text == "sent 20 GB\n"
    problem_of(world.submitter.get("/v1/jobs/train/transfers/FR/logs"), 404, "not-found")
