"""A scene with a cluster and a dispatcher, played hour by hour."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from optimizer import Placement, Run
from scheduler.db.models import (
    CommandKind,
    CommandOutcome,
    DispatchCommand,
    Job,
    JobStatus,
    Role,
)
from scheduler.db.session import transaction
from scheduler.services.dispatch import Dispatcher
from scheduler.services.jobs import cancel_job
from scheduler.services.keys import Caller
from scheduler.services.outside import Outside
from tests.services.builders import START
from tests.services.fakes import FakeCluster
from tests.services.scene import Scene

HOUR = timedelta(hours=1)
PAUSABLE = {"pausing": {"min_run_minutes": 60}}


class Play:
    """A scene with a cluster, and plans written by hand: job -> hours from START it runs in."""

    def __init__(self, scene: Scene, cluster: FakeCluster) -> None:
        self.scene = scene
        self.cluster = cluster
        self.outside = Outside({"DE": cluster})
        self.dispatcher = self.another_dispatcher()

    def another_dispatcher(self) -> Dispatcher:
        """A dispatcher of another process, with the same clusters."""
        return Dispatcher(self.scene.sessions, lambda _: self.outside, self.scene.now)

    def at(self, hours: float) -> None:
        """Move to so many hours from START, and tick."""
        self.scene.at = START + hours * HOUR
        self.dispatcher.tick()

    def cancel(self, name: str = "train") -> None:
        """Ask for a job to be cancelled."""
        with transaction(self.scene.sessions) as session:
            cancel_job(session, name, Caller("test", Role.ADMIN), self.scene.now())

    def commands(self) -> list[tuple[CommandKind, CommandOutcome]]:
        """Everything that was sent, in order."""
        with transaction(self.scene.sessions) as session:
            rows = session.scalars(select(DispatchCommand).order_by(DispatchCommand.decided_at))
            return [(row.kind, row.outcome) for row in rows]

    def kinds(self) -> list[CommandKind]:
        """What was sent, in order."""
        return [kind for kind, _ in self.commands()]

    def status(self, job: UUID) -> JobStatus:
        """Where a job stands."""
        return self.scene.job(job).status

    def change(self, job: UUID, **columns: object) -> None:
        """Write columns of a job, as another process might have."""
        with transaction(self.scene.sessions) as session:
            row = session.get_one(Job, job)
            for name, value in columns.items():
                setattr(row, name, value)


def runs(job: str, *hours: tuple[int, int], point: str = "a100x1") -> Placement:
    """A placement at DE."""
    return Placement(job, "DE", tuple(Run(f"DE/{point}", first, last) for first, last in hours))
