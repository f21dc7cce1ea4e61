"""A top node calls: plan, caps, a pause and the battery answer, and it is reported and settled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.openadr3.vtn import TestVtn, event, limit, serving
from tests.peers import sunspec
from tests.whole.place import BATTERY, SITE, START, Place, running

MINUTE = timedelta(minutes=1)
SLOT = 5 * MINUTE
LIMIT_KW = 3.5
RAMP = 5 * MINUTE  # of the contract
TOLD, NOTICE, LASTS = START + 20 * MINUTE, 35 * MINUTE, 20 * MINUTE


def fleet_of(port: int) -> dict[str, Any]:
    """Return one site: eight GPUs, and a battery of 1 kW that a loop looks after."""
    battery = {
        "name": BATTERY,
        "power_kw": 1,
        "capacity_kwh": 100,
        "soc_initial_kwh": 50,
        "terminal_value_per_kwh": 1.0,
        "wear_per_kwh": 0.05,
        "connection": {"kind": "modbus", "host": "127.0.0.1", "port": port, "unit": 1},
    }
    site = {
        "name": SITE,
        "time_zone": "UTC",
        "grid": {"import_limit_kw": 20},
        "pools": [{"name": "gpu", "gpus": 8, "kw_per_gpu": 1.0}],
        "batteries": [battery],
        "control": {"every_s": 0.5, "answer_s": 0.2, "meter": {"kind": "cluster"}},
    }
    planning = {
        "slot_minutes": 5,
        "horizon_hours": 8,
        "time_limit_s": 5,
        "approval": "always",
        "carbon_intensity_name": "test",
    }
    return {"name": "one", "planning": planning, "sites": [site]}


def job(name: str, gpus: int, **more: Any) -> dict[str, Any]:
    """Return a job of three hours that a process stands for, due hours later."""
    point = {"pool": "gpu", "gpus": gpus, "kw": float(gpus)}
    return {
        "name": name,
        "work_hours": 3,
        "operating_points": [point],
        "release_at": START.isoformat(),
        "deadline_at": (START + timedelta(hours=8)).isoformat(),
        "command": ["sh", "-c", "exec sleep 3600"],
        **more,
    }


# All of them draw 7 kW, as early as they may: energy becomes dearer. Under a call to 3.5 kW one is
# capped, which takes more energy for its work, one is paused, and the battery gives the rest.
JOBS = (
    job("serves", 1),
    job(
        "trains",
        4,
        is_elastic=True,
        operating_points=[
            {"pool": "gpu", "gpus": 4, "kw": 4.0},
            {"pool": "gpu", "gpus": 4, "kw": 3.2, "speed": 0.7, "power_cap_w": 800.0},
        ],
    ),
    job("sweeps", 2, pausing={"min_run_minutes": 5, "restart_eur": 1.0}),
)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Everything runs, and so do the three jobs, by a plan in force."""
    with (
        serving(TestVtn("3.1.0")) as vtn,
        sunspec.running("der") as plant,
        running(tmp_path, vtn, plant) as place,
    ):
        place.send("PUT", "/v1/fleet", fleet_of(plant.port))
        hours = [START + timedelta(hours=hour) for hour in range(24)]
        values = [
            {"site": SITE, "kind": kind, "start_at": at.isoformat(), "minutes": 60, "value": value}
            for hour, at in enumerate(hours)
            for kind, value in (("price", 100.0 + 20.0 * hour), ("carbon_intensity", 300.0))
        ]
        place.send("POST", "/v1/signals", {"source": "test", "values": values})
        for one in JOBS:
            place.send("POST", "/v1/jobs", one)
        place.send("POST", "/v1/planning-runs", {})
        place.wait_for("all jobs run", lambda: running_jobs(place) == 3, timedelta(hours=2))
        yield place


def running_jobs(place: Place) -> int:
    """Count them."""
    return sum(one["status"] == "running" for one in place.get("/v1/jobs")["items"])


def call(place: Place, kw: float, number: str = "a", **more: Any) -> tuple[datetime, datetime]:
    """Publish a call with notice; return when it begins and ends."""
    minute = place.now().replace(second=0, microsecond=0)
    begin = minute + NOTICE - timedelta(minutes=minute.minute % 5)
    period = {"start": begin.strftime("%Y-%m-%dT%H:%M:%SZ"), "duration": "PT20M"}
    asked = [{"payloadType": "USAGE"}, {"payloadType": "DEMAND"}]
    told = event(number, limit(kw), intervalPeriod=period, reportDescriptors=asked, **more)
    place.vtn.events = [*place.vtn.events, told]
    return begin, begin + LASTS


def import_kw(place: Place, begin: datetime, end: datetime) -> list[float]:
    """What the loop read at the connection, batteries included."""
    query = {"site": SITE, "series": "site_power"}
    query |= {"start": begin.isoformat(), "end": end.isoformat()}
    return [row["value"] for row in place.get("/v1/telemetry/readings", **query)["readings"]]


def test_a_call_is_planned_delivered_reported_and_settled(place: Place) -> None:
    """From the notice to the settlement, on what was measured."""
    begin, end = call(place, LIMIT_KW)
    place.until(begin + 2 * MINUTE)
    jobs = {one["name"]: one for one in place.get("/v1/jobs")["items"]}
    assert {name: one["status"] for name, one in jobs.items()} == {
        "serves": "running",
        "trains": "running",
        "sweeps": "suspended",
    }
    assert jobs["trains"]["point"] == "gpux4@800W"
    place.until(end + 2 * MINUTE)
    measured = import_kw(place, begin + RAMP, end)
    assert len(measured) > 5
    assert max(measured) <= LIMIT_KW + 1e-6
    place.wait_for("the paused job goes on", lambda: running_jobs(place) == 3, 20 * MINUTE)
    reports = place.vtn.kept["reports"]
    assert {report["eventID"] for report in reports} == {"a"}
    (listed,) = place.get("/v1/grid-events")["items"]
    path = f"/v1/grid-events/{listed['external_id']}/settlement"
    place.until(end + 72 * MINUTE)
    place.wait_for("it is settled", lambda: place.api.get(path).is_success, timedelta(hours=1))
    settled = place.get(path)
    assert settled["metered_share"] == 1.0
    # A reading holds until the next, of which one is after the end: a second of the clock or two.
    assert settled["penalty_eur"] < 0.1
    assert settled["highest_over_kw"] < 0.05
    assert place.vtn.problems == []
