"""What clusters draw, as the API shows it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from connectors.types import PowerScope
from scheduler.db.models import ClusterPower, Job, JobStatus
from scheduler.db.session import transaction
from tests.api.world import NOW, World, problem_of

HOUR = timedelta(hours=1)


def draw(world: World, *kw: float, **changes: Any) -> None:
    """Readings a minute apart that end now."""
    fields: dict[str, Any] = {
        "site": "DE",
        "is_measured": True,
        "source": "prometheus",
        "scope": PowerScope.GPUS,
        "reason": "",
        "planned_kw": 5.0,
    }
    with transaction(world.sessions) as session:
        for back, value in enumerate(reversed(kw)):
            at = NOW - timedelta(minutes=back)
            session.add(ClusterPower(**fields | changes | {"at": at, "kw": value}))


def asked(world: World, path: str, **query: Any) -> Any:
    """The answer to a submitter."""
    query = {"start": (NOW - HOUR).isoformat(), "end": (NOW + HOUR).isoformat()} | query
    return world.submitter.get(f"/v1/power{path}", params={"site": "DE"} | query)


def test_the_last_reading_of_every_site_is_shown(world: World) -> None:
    """With how it is known, and what the plan wanted."""
    draw(world, 4.0, 6.0)
    away = {"is_measured": False, "source": "", "reason": "prometheus: away"}
    draw(world, 1.0, site="FR", **away)
    german, french = world.submitter.get("/v1/power").json()
    assert (german["site"], german["kw"], german["is_measured"]) == ("DE", 6.0, True)
    assert (german["source"], german["scope"], german["planned_kw"]) == ("prometheus", "gpus", 5.0)
    assert (french["is_measured"], french["reason"]) == (False, "prometheus: away")


def test_readings_of_a_range_are_listed_in_order(world: World) -> None:
    """From its start on, without its end."""
    draw(world, 4.0, 5.0, 6.0)
    assert [row["kw"] for row in asked(world, "/readings").json()] == [4.0, 5.0, 6.0]
    assert [row["kw"] for row in asked(world, "/readings", end=NOW.isoformat()).json()] == [
        4.0,
        5.0,
    ]
    assert asked(world, "/readings", site="FR").json() == []


def test_energy_says_how_much_of_it_is_known(world: World) -> None:
    """Over the two minutes that readings cover, of two hours."""
    draw(world, 60.0, 60.0, 60.0)
    found = asked(world, "/energy").json()
    assert (found["kwh"], found["measured_share"]) == (pytest.approx(2.0), 1.0)
    assert found["covered_share"] == pytest.approx(2 / 120)
    assert found["planned_kwh"] == pytest.approx(5 / 30)
    assert [gap["end"] for gap in found["gaps"]] == ["2026-06-07T09:28:00Z", "2026-06-07T10:30:00Z"]


def test_a_site_nobody_knows_drew_nothing_that_could_be_told(world: World) -> None:
    """It is refused; one that left the fleet still has its readings."""
    assert "'FR'" in problem_of(asked(world, "/energy", site="FR"), 404, "not-found")["detail"]
    draw(world, 60.0, 60.0, site="FR")
    assert asked(world, "/energy", site="FR").json()["kwh"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("path", "days"), [("/readings", 0), ("/readings", 8), ("/energy", -1), ("/energy", 400)]
)
def test_a_range_that_makes_no_sense_is_refused(world: World, path: str, days: int) -> None:
    """With its end and how far it may reach."""
    start, end = NOW.isoformat(), (NOW + timedelta(days=days)).isoformat()
    problem = problem_of(asked(world, path, start=start, end=end), 422, "invalid")
    assert "at most" in problem["errors"][0]["limit"]


def test_power_is_a_number_to_watch(world: World) -> None:
    """With how it is known as a label; what is minutes old is not power now."""
    line = 'gridtide_cluster_power_kw{how="measured",site="DE",source="prometheus"} 6.0'
    draw(world, 4.0, 6.0)
    page = world.submitter.get("/metrics").text
    assert line in page
    assert 'gridtide_cluster_planned_kw{site="DE"} 5.0' in page
    world.now = NOW + timedelta(minutes=6)
    assert "gridtide_cluster_power_kw{" not in world.submitter.get("/metrics").text


def test_a_cap_that_is_refused_is_shown_with_its_job(world: World) -> None:
    """To everybody who asks for the job, and counted while the job is not over."""
    world.submit("train")
    problem = "n1: GPU 0: cap = 50 W, must be within [100.00, 700.00] W"
    job_id = world.set_job("train", JobStatus.RUNNING, "DE")
    with transaction(world.sessions) as session:
        row = session.get_one(Job, job_id)
        row.power_cap_in_force_w, row.power_cap_problem = 700.0, problem
    found = world.operator.get("/v1/jobs/train").json()
    assert (found["power_cap_in_force_w"], found["power_cap_problem"]) == (700.0, problem)
    assert "gridtide_jobs_cap_not_in_force 1.0" in world.operator.get("/metrics").text
    world.set_job("train", JobStatus.SUCCEEDED, "DE")
    assert "gridtide_jobs_cap_not_in_force 0.0" in world.operator.get("/metrics").text
