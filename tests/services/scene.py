"""A database with a fleet, signals and jobs, and a clock that stands where it is put."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from connectors.types import SignalKind
from optimizer import Placement, Rung, Unserved, dispatch, settled_plan
from scheduler.db.models import Job, PlanningRun, RunStatus, StoredPlan
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import fleet as fleets
from scheduler.services.documents import make_document
from scheduler.services.jobs import submit_job
from scheduler.services.plan_document import PlanDocument
from scheduler.services.planning import review, store_result
from scheduler.services.planning_inputs import read_inputs
from scheduler.services.planning_queue import Lease
from scheduler.services.plans import approve_plan, read_document, read_in_force
from scheduler.services.runs import RunRequest, queue_run
from scheduler.services.signals import SignalPoint, insert_values
from scheduler.specs import FleetSpec, JobSpec
from scheduler.worker import Worker
from tests.services.builders import START, fleet_spec, job_spec


@dataclass
class Scene:
    """What tests of services and loops play in. ``at`` is now; move it with ``wait``."""

    sessions: SessionFactory
    at: datetime = START - timedelta(hours=1)
    fleet: FleetSpec = field(default_factory=fleet_spec)

    def now(self) -> datetime:
        """The present instant."""
        return self.at

    def wait(self, **span: float) -> None:
        """Let time pass."""
        self.at += timedelta(**span)

    def set_up(self, fleet: FleetSpec | None = None, hours: int = 48) -> Scene:
        """Put a fleet in force, with prices of 50 EUR/MWh that fall to 10 in the hours 6 to 9."""
        self.fleet = fleet or self.fleet
        with transaction(self.sessions) as session:
            fleets.replace_fleet(session, self.fleet, "test", self.at)
            for site in self.fleet.sites:
                price = [10.0 if 6 <= hour % 24 < 10 else 50.0 for hour in range(hours)]
                for kind, values in (
                    (SignalKind.PRICE, price),
                    (SignalKind.CARBON_INTENSITY, [200.0] * hours),
                ):
                    insert_values(session, _points(site.name, kind, values, self.at), "test")
        return self

    def submit(self, name: str = "train", **changes: Any) -> UUID:
        """Submit a job and return its id."""
        command = {"command": ["true"]} | changes
        spec: JobSpec = job_spec(name, **command)
        with transaction(self.sessions) as session:
            job, _ = submit_job(session, spec, "test", self.at)
            return job.id

    def queue(self, key: str = "manual/1", **changes: Any) -> UUID:
        """Queue a planning run of 24 h from START and return its id."""
        values = {"hours": 24, "time_limit_s": 20.0, "window_start": START} | changes
        with transaction(self.sessions) as session:
            run, _ = queue_run(session, RunRequest(key, "test", **values), self.at)
            return run.id

    def approve(self, plan: UUID) -> None:
        """Put a plan in force."""
        with transaction(self.sessions) as session:
            approve_plan(session, plan, "test", self.at)

    def run(self, run: UUID) -> PlanningRun:
        """Read a run."""
        with transaction(self.sessions) as session:
            return session.get_one(PlanningRun, run)

    def plan(self, plan: UUID) -> StoredPlan:
        """Read a plan."""
        with transaction(self.sessions) as session:
            return session.get_one(StoredPlan, plan)

    def work_off(self) -> PlanDocument:
        """Let a worker do the run that waits; return the plan it made."""
        run = Worker(self.sessions, self.now, threading.Event()).work_once()
        assert run is not None
        plan = self.run(run).plan_id
        assert plan is not None
        return self.document(plan)

    def document(self, plan: UUID) -> PlanDocument:
        """Read a plan's document."""
        with transaction(self.sessions) as session:
            return read_document(session, plan)

    def job(self, job: UUID) -> Job:
        """Read a job."""
        with transaction(self.sessions) as session:
            return session.get_one(Job, job)


def put_in_force(
    scene: Scene, *placements: Placement, start_h: float = 0, key: str = "plan"
) -> None:
    """Store a plan with these placements for 24 h and approve it."""
    scene.approve(propose(scene, *placements, start_h=start_h, key=key))


def propose(scene: Scene, *placements: Placement, start_h: float = 0, key: str = "plan") -> UUID:
    """Store a plan with these placements for 24 h, batteries idle."""
    run_id = scene.queue(key, window_start=START + timedelta(hours=start_h))
    with transaction(scene.sessions) as session:
        run = session.get_one(PlanningRun, run_id)
        run.status, run.lease_owner = RunStatus.RUNNING, "test"
        inputs = read_inputs(session, run, scene.at)
    made = inputs.assemble()
    placed = {placement.job for placement in placements}
    left_out = [job.name for job in made.problem.jobs if job.name not in placed]
    unserved = [Unserved(name, "not in this test") for name in left_out]
    flows = dispatch(made.problem, placements, {})
    plan = settled_plan(made.problem, Rung.EXACT, placements, unserved, flows)
    document = make_document(inputs.fleet, made, plan, plan, scene.at)
    with transaction(scene.sessions) as session:
        lease = Lease(run_id, "test")
        reviewed = review(document, read_in_force(session))
        stored = store_result(session, lease, document, reviewed, inputs.fleet_version, scene.at)
        assert stored.breaches == []
    return stored.id


def _points(
    site: str, kind: SignalKind, values: Sequence[float], known_at: datetime
) -> list[SignalPoint]:
    return [
        SignalPoint(site, kind, START + timedelta(hours=hour), 60, value, known_at)
        for hour, value in enumerate(values)
    ]
