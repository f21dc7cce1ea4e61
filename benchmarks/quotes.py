"""How fast explanations and quotes are answered against a plan of 10,000 jobs.

Makes up a fleet of ten sites, a week of hourly prices and 10,000 jobs, plans them, puts the plan in
force in a SQLite database, starts ``gridtide api`` on it, and asks over HTTP on 127.0.0.1, one
request after another. Prints what is in RESULTS.md. What was assumed:

* Every site has 288 GPUs in one pool; prices and intensity follow the hour of the day, with noise.
* Jobs of 1 to 16 GPUs and 1 to 24 hours that may run at every site, at full power or capped: twenty
  operating points each. A third may pause, in pieces of two hours and more.
* Each request asks about another job: submitted ones are explained, new ones of the same kinds are
  quoted for the default menu of deadlines, up to seven. The first request of all reads the plan and
  makes it ready.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from connectors.types import SignalKind
from optimizer import Plan, SolveLimits, solve, with_marginal_energy
from scheduler.db.models import Job, Role
from scheduler.db.session import SessionFactory, make_engine, make_session_factory, transaction
from scheduler.db.upgrade import upgrade
from scheduler.services import keys
from scheduler.services.documents import make_document
from scheduler.services.fleet import replace_fleet
from scheduler.services.planning import review, store_result
from scheduler.services.planning_inputs import read_inputs
from scheduler.services.planning_queue import Lease, claim_run
from scheduler.services.plans import InForce, approve_plan
from scheduler.services.runs import RunRequest, get_run, queue_run
from scheduler.services.signals import SignalPoint, insert_values
from scheduler.specs import FleetSpec, JobSpec

N_SITES = 10
HOURS = 168
N_JOBS = 10_000
GPUS = 288
N_REQUESTS = 300
KEY_FILE = "key.txt"
SITES = [f"site-{number}" for number in range(N_SITES)]
WHO = "benchmark"


def fleet_spec() -> FleetSpec:
    """Ten sites alike but for their signals."""
    site = {
        "time_zone": "UTC",
        "pue": 1.2,
        "grid": {"import_limit_kw": 400, "export_limit_kw": 50, "network_fee_per_mwh": 20},
        "pools": [{"name": "gpu", "gpus": GPUS, "idle_kw_per_gpu": 0.08}],
    }
    planning = {"horizon_hours": HOURS, "weights": {"carbon_eur_per_t": 80.0}}
    return FleetSpec.model_validate(
        {"planning": planning, "sites": [site | {"name": name} for name in SITES]}
    )


def signals(rng: np.random.Generator, start: datetime) -> Iterator[SignalPoint]:
    """Price and carbon intensity by site and hour: a day's rhythm, a level of the site's, noise."""
    hours = np.arange(HOURS)
    for name in SITES:
        rhythm = np.cos((hours + rng.integers(24)) * 2 * np.pi / 24)
        price = rng.uniform(40, 120) * (1 + 0.5 * rhythm) + rng.normal(0, 8, HOURS)
        carbon = np.maximum(20, rng.uniform(100, 500) * (1 + 0.4 * rhythm))
        for kind, values in ((SignalKind.PRICE, price), (SignalKind.CARBON_INTENSITY, carbon)):
            for hour, value in enumerate(values.round(2).tolist()):
                at = start + timedelta(hours=hour)
                yield SignalPoint(name, kind, at, 60, value, start)


def job_spec(rng: np.random.Generator, name: str, start: datetime) -> JobSpec:
    """Make up a job that fits between its release and its deadline."""
    gpus = int(rng.choice([1, 2, 4, 8, 16], p=[0.35, 0.25, 0.2, 0.15, 0.05]))
    work_hours = float(np.clip(rng.lognormal(1.4, 0.8), 1, 24).round(1))
    release_h = int(rng.integers(0, HOURS - 60))
    slack_h = int(rng.integers(6, 49))
    deadline_h = min(HOURS, release_h + int(np.ceil(work_hours)) + slack_h)
    pausing = {"min_run_minutes": 120, "restart_minutes": 10, "restart_kwh": 0.2 * gpus}
    return JobSpec.model_validate(
        {
            "name": name,
            "work_hours": work_hours,
            "operating_points": [
                {"pool": "gpu", "gpus": gpus, "kw": 0.7 * gpus},
                {"pool": "gpu", "gpus": gpus, "kw": 0.5 * gpus, "speed": 0.85, "power_cap_w": 400},
            ],
            "release_at": start + timedelta(hours=release_h),
            "deadline_at": start + timedelta(hours=deadline_h),
            "pausing": pausing if rng.random() < 1 / 3 else None,
            "command": ["true"],
        }
    )


def furnish(sessions: SessionFactory, start: datetime) -> str:
    """Put fleet, signals and jobs on record; return a key to ask with."""
    rng = np.random.default_rng(0)
    specs = [job_spec(rng, f"job-{number:05d}", start) for number in range(N_JOBS)]
    with transaction(sessions) as session:
        replace_fleet(session, fleet_spec(), WHO, start)
        insert_values(session, list(signals(rng, start)), WHO)
        session.add_all(
            Job(
                name=spec.name,
                tenant=spec.tenant,
                spec=spec.model_dump(mode="json"),
                submitted_by=WHO,
                submitted_at=start,
                release_at=spec.release_at,
                deadline_at=spec.deadline_at,
            )
            for spec in specs
        )
        return keys.create_key(session, WHO, Role.SUBMITTER, start)[1]


def put_plan_in_force(sessions: SessionFactory, start: datetime, time_limit_s: float) -> Plan:
    """Plan every job at once, as a worker would, and approve it."""
    request = RunRequest("benchmark/1", WHO, HOURS, time_limit_s, start)
    with transaction(sessions) as session:
        queue_run(session, request, start)
        run = claim_run(session, WHO, start, start, 3600.0)
        if run is None:
            raise AssertionError("the only run there is waits to be claimed")
        lease = Lease(run.id, WHO)
    with transaction(sessions) as session:
        inputs = read_inputs(session, get_run(session, lease.run_id), start)
    assembled = inputs.assemble()
    plan = solve(assembled.problem, SolveLimits(time_limit_s, 0.01), clock=time.monotonic)
    plan = with_marginal_energy(assembled.problem, plan)
    document = make_document(inputs.fleet, assembled, plan, plan, start)
    reviewed = review(document, InForce())
    with transaction(sessions) as session:
        version = inputs.fleet_version
        stored = store_result(session, lease, document, reviewed, version, start)
        approve_plan(session, stored.id, WHO, start)
    return plan


@contextmanager
def running_api(database_url: str, state: Path) -> Iterator[str]:
    """Run ``gridtide api`` on a free port; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "GRIDTIDE_DATABASE_URL": database_url,
        "GRIDTIDE_STATE_DIR": str(state),
    }
    words = [sys.executable, "-m", "scheduler", "api", "--port", str(port)]
    server = subprocess.Popen(words, env=environment)
    try:
        await_answer(f"{address}/health/live")
        yield address
    finally:
        server.terminate()
        server.wait()


def await_answer(url: str) -> None:
    """Wait until a server that is starting answers."""
    for _ in range(300):
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"{url} does not answer")


def measure(what: str, ask: Callable[[int], httpx.Response]) -> None:
    """Time the first request, and then ``N_REQUESTS`` more."""
    seconds = []
    for number in range(1 + N_REQUESTS):
        began = time.perf_counter()
        ask(number).raise_for_status()
        seconds.append(time.perf_counter() - began)
    first, rest = seconds[0], 1000 * np.array(seconds[1:])
    p50, p95 = np.percentile(rest, [50, 95])
    print(
        f"{what}: first {first:.2f} s, then p50 {p50:.1f} ms, p95 {p95:.1f} ms,"
        f" max {rest.max():.1f} ms ({N_REQUESTS} requests)"
    )


def ask_all(address: str, key: str, start: datetime) -> None:
    """Measure every kind of request."""
    rng = np.random.default_rng(1)
    chosen = rng.permutation(N_JOBS)
    new = [job_spec(rng, f"new-{number}", start) for number in range(1 + N_REQUESTS)]
    bodies: list[dict[str, Any]] = [{"job": spec.model_dump(mode="json")} for spec in new]
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=address, headers=headers, timeout=120.0) as client:
        measure(
            "explanation",
            lambda number: client.get(f"/v1/jobs/job-{chosen[number]:05d}/explanation"),
        )
        measure("quote", lambda number: client.post("/v1/quotes", json=bodies[number]))


def main() -> None:
    """Plan, serve and ask."""
    parser = argparse.ArgumentParser(description="Time explanations and quotes of 10,000 jobs.")
    parser.add_argument("--folder", type=Path, help="Keep the database here and use it again.")
    parser.add_argument("--time-limit", type=float, default=20.0, help="Of the solver [s].")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder: Path = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        url = f"sqlite:///{folder.absolute() / 'gridtide.db'}"
        upgrade(url)
        sessions = make_session_factory(make_engine(url))
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        key_file = folder / KEY_FILE
        if key_file.exists():
            key, begun = key_file.read_text(encoding="utf-8").split()
            start = datetime.fromisoformat(begun)
        else:
            key = furnish(sessions, start)
            plan = put_plan_in_force(sessions, start, arguments.time_limit)
            gap = "no bound" if plan.gap is None else f"gap {plan.gap:.2%}"
            print(f"plan: {len(plan.placements)} of {N_JOBS} jobs, {plan.rung.value}, {gap}")
            key_file.write_text(f"{key} {start.isoformat()}", encoding="utf-8")
        with running_api(url, folder) as address:
            ask_all(address, key, start)


if __name__ == "__main__":
    main()
