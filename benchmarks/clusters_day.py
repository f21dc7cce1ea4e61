"""The example day of sixty jobs carried out on three real clusters, on a clock that runs faster.

``python -m benchmarks.clusters_day`` generates the day of ``examples/``, plans it, has Frankfurt be
this machine, Fresno a real Slurm and Buffalo a real Kubernetes, each with as many GPUs as in the
example, though none is one. Every tick of the dispatcher is followed by a look at what the clusters
say. Prints what is in RESULTS.md.

* A start is late by the time from the beginning of its slot to the instant at which the cluster
  says that the command was started [s of real time]. A restart is seen at the next look.
* Jobs work 7 % less than planned: what it takes to start a process, a second or so, is nothing of
  an hour, but much of the seconds that an hour takes here.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from sqlalchemy import select

from benchmarks.real_clusters import running_kubernetes, running_slurm
from benchmarks.wording import table
from connectors.protocols import Cluster
from connectors.types import JobObservation, PoolCapacity
from optimizer import Placement, require_verified
from scheduler.cli.carry_out import end_all_jobs
from scheduler.cli.example_day import ExampleDay, prepare, take_in
from scheduler.db.models import CommandKind, CommandOutcome, DispatchCommand, Job, JobStatus
from scheduler.db.session import SessionFactory, transaction
from scheduler.main import connect
from scheduler.services.dispatch import Dispatcher
from scheduler.services.dispatch_lines import Lines
from scheduler.services.plan_document import PlanDocument
from scheduler.services.plans import approve_plan, read_document
from scheduler.services.runs import RunRequest, get_run, queue_run
from scheduler.specs import FleetSpec
from scheduler.timekeeping import accelerated_now
from scheduler.worker import Worker

EXAMPLE = Path(__file__).parents[1] / "examples"
SLURM_SITE = "fresno"
KUBERNETES_SITE = "buffalo"
GPUS = 48
WORKED = 0.93
ACTOR = "benchmark"
ANSWER_S = 60.0


@dataclass
class Watch:
    """What was seen of one site: the highest use of each pool, and starts and pauses by job.

    Starts and pauses are in seconds of real time since the day began.
    """

    total: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)
    starts: dict[str, list[float]] = field(default_factory=dict)
    seen: dict[str, JobObservation] = field(default_factory=dict)

    def note(
        self, jobs: tuple[JobObservation, ...], pools: tuple[PoolCapacity, ...], began: datetime
    ) -> None:
        """Note what a cluster says now; a first start is timed by the cluster."""
        at_s = (datetime.now(UTC) - began).total_seconds()
        for pool in pools:
            self.total[pool.pool] = pool.gpus_available
            self.most[pool.pool] = max(self.most.get(pool.pool, 0), pool.gpus_in_use)
        for job in jobs:
            times = self.starts.setdefault(job.key, [])
            if job.starts > len(times) and job.started_at is not None:
                first = (job.started_at - began).total_seconds()
                times.append(first if not times else at_s)
            self.seen[job.key] = job


@dataclass(frozen=True)
class Carried:
    """A day that was carried out."""

    document: PlanDocument
    rows: dict[str, Job]
    told: dict[UUID, list[datetime]]  # when a job was told to run, by its id
    watches: dict[str, Watch]
    seconds_per_hour: float

    def starts_of(self, site: str, job: str) -> list[float]:
        """Return when a job was started at a site [s of real time]."""
        return self.watches[site].starts.get(str(self.rows[job].id), [])


def main() -> None:
    """Carry the day out and print the table."""
    parser = argparse.ArgumentParser(description="Carry out the example day on three clusters.")
    parser.add_argument("--out", type=Path, default=Path("out/clusters_day"))
    parser.add_argument("--seconds-per-hour", type=float, default=24.0)
    parser.add_argument("--tick", type=float, default=2.0, help="pause of the dispatcher [s]")
    asked = parser.parse_args()
    with _clusters(asked.out.resolve()) as specs:
        day = prepare(EXAMPLE, asked.out, WORKED * asked.seconds_per_hour)
        day = replace(day, fleet=_on(day.fleet, specs))
        sessions = take_in(day, ACTOR)
        print("planning ...", flush=True)
        document = _plan(sessions, day)
        carried = _carry_out(sessions, day, document, asked.seconds_per_hour, asked.tick)
    print(report(carried, asked.tick))


@contextmanager
def _clusters(out: Path) -> Iterator[dict[str, dict[str, Any]]]:
    """Start the clusters; give what the fleet says of each, by site."""
    out.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory() as name,
        running_slurm(Path(name), "h100", n_nodes=1, gpus_per_node=GPUS) as (_, on_slurm),
        running_kubernetes(Path(name), GPUS) as on_kubernetes,
    ):
        yield {SLURM_SITE: on_slurm, KUBERNETES_SITE: on_kubernetes.spec()}


def _on(fleet: FleetSpec, clusters: dict[str, dict[str, Any]]) -> FleetSpec:
    sites = [
        site.model_dump() | ({"cluster": clusters[site.name]} if site.name in clusters else {})
        for site in fleet.sites
    ]
    return FleetSpec.model_validate(fleet.model_dump() | {"sites": sites})


def _plan(sessions: SessionFactory, day: ExampleDay) -> PlanDocument:
    """Plan the day as a worker does, and put the plan in force."""
    planning = day.fleet.planning
    wanted = RunRequest(ACTOR, ACTOR, planning.horizon_hours, planning.time_limit_s, day.start)
    with transaction(sessions) as session:
        run_id = queue_run(session, wanted, day.start)[0].id
    Worker(sessions, lambda: day.start, threading.Event()).work_once()
    with transaction(sessions) as session:
        plan_id = get_run(session, run_id).plan_id
        if plan_id is None:
            raise RuntimeError("the planning run failed")
        document = read_document(session, plan_id)
        require_verified(document.problem, document.plan)
        approve_plan(session, plan_id, ACTOR, day.start, "")
    return document


def _carry_out(
    sessions: SessionFactory,
    day: ExampleDay,
    document: PlanDocument,
    seconds_per_hour: float,
    tick_s: float,
) -> Carried:
    hours = document.window.n_slots * document.window.slot_hours
    now = accelerated_now(day.start, 3600 / seconds_per_hour)
    began = datetime.now(UTC)
    outside = connect(day.settings, day.fleet, now)
    dispatcher = Dispatcher(sessions, lambda _fleet: outside, now)
    watches = {site: Watch() for site in outside.clusters}
    lines = Lines()

    def look() -> None:
        for site, cluster in outside.clusters.items():
            lines.is_busy(site)  # the last call takes a moment to end
            watches[site].note(*lines.start(site, partial(_look, cluster)).result(ANSWER_S), began)

    try:
        while now() < day.start + timedelta(hours=hours):
            due = time.monotonic() + tick_s
            dispatcher.tick()
            look()
            print(f"\r{now():%H:%M}", end="", flush=True)
            time.sleep(max(0.0, due - time.monotonic()))
        dispatcher.tick()
        look()
    finally:
        end_all_jobs(outside)
    with transaction(sessions) as session:
        rows = {row.name: row for row in session.scalars(select(Job))}
        told: dict[UUID, list[datetime]] = {}
        for command in session.scalars(
            select(DispatchCommand)
            .where(
                DispatchCommand.kind.in_((CommandKind.SUBMIT, CommandKind.RESUME)),
                DispatchCommand.outcome == CommandOutcome.DONE,
            )
            .order_by(DispatchCommand.decided_at)
        ):
            if command.job_id is not None:
                told.setdefault(command.job_id, []).append(command.decided_at)
    return Carried(document, rows, told, watches, seconds_per_hour)


async def _look(cluster: Cluster) -> tuple[tuple[JobObservation, ...], tuple[PoolCapacity, ...]]:
    return await cluster.observe(), await cluster.capacity()


def report(carried: Carried, tick_s: float) -> str:
    """Say how the day went, by site."""
    rows = [_row(carried, site, tick_s) for site in carried.watches]
    return "\n" + table(
        [
            "Site",
            "Jobs",
            "Done in time",
            f"Told to run within a tick ({tick_s:g} s)",
            "Told late by, most [s]",
            "Started late by [s]: median, most",
            "Restarts planned, made",
            "GPUs in use, most",
        ],
        rows,
    )


def _row(carried: Carried, site: str, tick_s: float) -> list[str]:
    watch = carried.watches[site]
    placed = [one for one in carried.document.plan.placements if one.site == site]
    done = [one for one in placed if _is_in_time(carried.rows[one.job])]
    late = sorted(delay for one in placed for delay in _delays(carried, one))
    planned = sum(len(_pieces(one)) - 1 for one in placed)
    made = sum(max(0, len(carried.starts_of(site, one.job)) - 1) for one in placed)
    used = ", ".join(f"{watch.most[pool]} of {watch.total[pool]}" for pool in watch.total)
    told = [delay for one in placed for delay in _told(carried, one)]
    within = sum(delay <= tick_s for delay in told)
    return [
        site,
        str(len(placed)),
        str(len(done)),
        f"{within} of {len(told)}",
        f"{max(told, default=0.0):.1f}",
        f"{late[len(late) // 2]:.1f}, {late[-1]:.1f}" if late else "-",
        f"{planned}, {made}",
        used,
    ]


def _is_in_time(row: Job) -> bool:
    is_done = row.status is JobStatus.SUCCEEDED
    return is_done and row.ended_at is not None and row.ended_at <= row.deadline_at


def _delays(carried: Carried, placement: Placement) -> list[float]:
    """Seconds by which each start of a job came after the beginning of its slot."""
    hours = carried.document.window.slot_hours
    planned = [slot * hours * carried.seconds_per_hour for slot in _pieces(placement)]
    made = carried.starts_of(placement.site, placement.job)
    return [at_s - due_s for at_s, due_s in zip(made, planned, strict=False)]


def _told(carried: Carried, placement: Placement) -> list[float]:
    """Seconds by which a job was told to run after the beginning of its slot, for each piece."""
    window = carried.document.window
    planned = [window.instant(slot) for slot in _pieces(placement)]
    told = carried.told.get(carried.rows[placement.job].id, [])
    hour = timedelta(hours=1)
    return [
        (at - due) / hour * carried.seconds_per_hour for at, due in zip(told, planned, strict=False)
    ]


def _pieces(placement: Placement) -> list[int]:
    """First slots of the pieces a job is planned to run in."""
    runs = placement.runs
    return [
        run.start_slot
        for before, run in zip((None, *runs), runs, strict=False)
        if before is None or before.end_slot != run.start_slot
    ]


if __name__ == "__main__":
    main()
