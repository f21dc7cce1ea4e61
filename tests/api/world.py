"""One small deployment behind the API: a clock, a fleet, keys of each role, and plans."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from fastapi import FastAPI
from pydantic import SecretStr

from connectors.errors import Unavailable
from connectors.signals.files import read_signals
from connectors.types import SignalKind
from optimizer import baselines
from scheduler.api.app import create_app
from scheduler.api.context import ApiContext
from scheduler.db.models import Job, JobStatus, PlanStatus, Role, StoredPlan
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import fleet, jobs, keys, runs
from scheduler.services.documents import make_document
from scheduler.services.ingestion import Intake
from scheduler.services.outside import Outside
from scheduler.services.plan_document import PlanDocument
from scheduler.services.planning import review, store_result
from scheduler.services.planning_inputs import read_inputs
from scheduler.services.planning_queue import Lease, claim_run
from scheduler.services.plans import read_in_force
from scheduler.services.signals import SignalPoint, insert_values
from scheduler.specs import FleetSpec, JobSpec
from tests.api.client import Client

NOW = datetime(2026, 6, 7, 9, 30, tzinfo=UTC)
MIDNIGHT = datetime(2026, 6, 8, tzinfo=UTC)


class LogCluster:
    """A cluster of which only the logs are asked for."""

    def __init__(self) -> None:
        self.lines: dict[str, list[str]] = {}
        self.is_away = False

    async def logs(self, key: str, *, follow: bool = False) -> AsyncIterator[str]:
        """Lines of ``key``, and one more when followed."""
        if self.is_away:
            raise Unavailable("cluster DE: no answer")
        for line in self.lines[key]:
            yield line
        if follow:
            yield "and it ended"


@dataclass
class World:
    """The deployment; ``now`` may be moved."""

    sessions: SessionFactory
    now: datetime = NOW
    cluster: LogCluster = field(default_factory=LogCluster)
    webhook_token: SecretStr | None = None
    app: FastAPI = field(init=False)
    secrets: dict[Role, str] = field(init=False)

    def __post_init__(self) -> None:
        clusters: Any = {"DE": self.cluster}
        context = ApiContext(
            sessions=self.sessions,
            now=lambda: self.now,
            read_signals=read_signals,
            outside_of=lambda _fleet: Outside(clusters),
            intake=Intake(self.sessions, lambda: self.now),
            max_body_bytes=100_000,
            webhook_token=self.webhook_token,
        )
        self.app = create_app(context)
        with transaction(self.sessions) as session:
            self.secrets = {
                role: keys.create_key(session, role.value, role, NOW)[1] for role in Role
            }

    def client(self, role: Role | None) -> Client:
        """A client with a key of ``role``, or with none."""
        return Client(self.app, None if role is None else self.secrets[role])

    @property
    def sender(self) -> Client:
        """May push messages, and nothing else."""
        return self.client(Role.SENDER)

    @property
    def submitter(self) -> Client:
        """May submit jobs."""
        return self.client(Role.SUBMITTER)

    @property
    def operator(self) -> Client:
        """May plan and approve."""
        return self.client(Role.OPERATOR)

    @property
    def admin(self) -> Client:
        """May do everything."""
        return self.client(Role.ADMIN)

    def furnish(self) -> None:
        """Set the fleet and a day of signals."""
        with transaction(self.sessions) as session:
            fleet.replace_fleet(session, FleetSpec.model_validate(FLEET), "test", NOW)
            insert_values(session, day_of_signals(), "test")

    def submit(self, *names: str, **changes: Any) -> None:
        """Submit jobs of these names."""
        with transaction(self.sessions) as session:
            for name in names:
                spec = JobSpec.model_validate(job(name, **changes))
                jobs.submit_job(session, spec, "submitter", self.now)

    def set_job(self, name: str, status: JobStatus, site: str | None = None) -> UUID:
        """Let a job stand so, as dispatch would have recorded it."""
        with transaction(self.sessions) as session:
            found: Job = jobs.find_job(session, name)
            found.status, found.site = status, site
            return found.id

    def plan(self, hours: int = 24) -> UUID:
        """Plan tomorrow by running every job at once; the plan waits for a decision."""
        lease = Lease(self._claimed_run(hours), "test")
        with transaction(self.sessions) as session:
            inputs = read_inputs(session, runs.get_run(session, lease.run_id), self.now)
        assembled = inputs.assemble()
        run_now = baselines.run_now(assembled.problem)
        document = make_document(inputs.fleet, assembled, run_now, run_now, self.now)
        with transaction(self.sessions) as session:
            reviewed = review(document, read_in_force(session))
            version = inputs.fleet_version
            return store_result(session, lease, document, reviewed, version, self.now).id

    def refused_plan(self) -> UUID:
        """A plan in which verification found a broken limit."""
        plan_id = self.plan()
        with transaction(self.sessions) as session:
            plan = session.get_one(StoredPlan, plan_id)
            plan.status, plan.breaches = PlanStatus.REFUSED, ["site DE: import_kw in slot 3"]
        return plan_id

    def document(self, plan_id: UUID) -> PlanDocument:
        """The whole of a plan."""
        answer = self.submitter.get(f"/v1/plans/{plan_id}/document")
        return PlanDocument.from_json(answer.content)

    def _claimed_run(self, hours: int) -> UUID:
        request = runs.RunRequest(f"test/{uuid4()}", "test", hours, 10.0, MIDNIGHT)
        with transaction(self.sessions) as session:
            runs.queue_run(session, request, self.now)
            run = claim_run(session, "test", self.now, self.now, 60.0)
            assert run is not None
            return run.id


SITE: dict[str, Any] = {
    "name": "DE",
    "time_zone": "Europe/Berlin",
    "grid": {"import_limit_kw": 100, "export_limit_kw": 50},
    "pools": [{"name": "a100", "gpus": 16}],
    "batteries": [{"power_kw": 10, "capacity_kwh": 20, "soc_initial_kwh": 10}],
}
FLEET: dict[str, Any] = {"planning": {"horizon_hours": 24}, "sites": [SITE]}


def job(name: str = "train", **changes: Any) -> dict[str, Any]:
    """Two hours on 4 GPUs, some time tomorrow."""
    return {
        "name": name,
        "work_hours": 2.0,
        "operating_points": [{"pool": "a100", "gpus": 4, "kw": 2.0}],
        "release_at": MIDNIGHT.isoformat(),
        "deadline_at": (MIDNIGHT + timedelta(hours=24)).isoformat(),
        "command": ["true"],
    } | changes


def day_of_signals() -> list[SignalPoint]:
    """Price and carbon intensity of every hour of tomorrow."""
    return [
        SignalPoint("DE", kind, MIDNIGHT + timedelta(hours=hour), 60, level + hour, NOW)
        for kind, level in ((SignalKind.PRICE, 40.0), (SignalKind.CARBON_INTENSITY, 300.0))
        for hour in range(24)
    ]


def problem_of(answer: Any, status: int, name: str) -> dict[str, Any]:
    """The problem details of ``answer``, which must be of this status and kind."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "instance"} <= problem.keys()
    assert answer.status_code == status == problem["status"], problem
    assert problem["type"] == f"urn:gridtide:problem:{name}", problem
    return problem
