"""A dispatcher killed at each point of a command, with and without a cancellation on top."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from connectors.types import JobState
from optimizer import Placement, Run
from scheduler.db.models import CommandKind, CommandOutcome, DispatchCommand, JobStatus, Role
from scheduler.db.session import SessionFactory, make_engine, make_session_factory, transaction
from scheduler.services.dispatch import Dispatcher
from scheduler.services.dispatch_recent import SETTLES_WITHIN
from scheduler.services.jobs import cancel_job
from scheduler.services.keys import Caller
from scheduler.services.outside import Outside
from tests.chaos.dying import Point, dispatch_until
from tests.chaos.process import cluster
from tests.chaos.test_kill9 import process, wait_until
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.scene import Scene, put_in_force


class Play:
    """One job that writes a line when it starts and then takes as long as it is told."""

    def __init__(self, sessions: SessionFactory, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder / "cluster"
        self.started = folder / "started"
        self.started.touch()
        self.go = folder / "go"
        fleet = fleet_spec(site_spec(pools=[{"name": "a100", "gpus": 4}]))
        self.scene = Scene(sessions).set_up(fleet)
        wait = f"while [ ! -e {self.go} ]; do sleep 0.05; done"
        script = f"echo started >> {self.started}; {wait}"
        self.job = self.scene.submit(command=["sh", "-c", script])
        put_in_force(self.scene, Placement("train", "DE", (Run("DE/a100x1", 0, 2),)))
        self.scene.at = START
        self.outside = Outside({"DE": cluster(self.folder)})

    def kill_at(self, command: str, point: Point) -> None:
        """Let a dispatcher work until it has died there."""
        arguments = (self.url, self.scene.now(), self.folder, command, point)
        with process(dispatch_until, *arguments) as dying:
            dying.join(60)
            assert dying.exitcode == -signal.SIGKILL

    def outcomes(self, kind: CommandKind) -> list[CommandOutcome]:
        """What is on record of commands of this kind."""
        with transaction(self.scene.sessions) as session:
            rows = session.scalars(select(DispatchCommand).where(DispatchCommand.kind == kind))
            return [row.outcome for row in rows]

    def cancel(self) -> None:
        """Ask for the job to be cancelled."""
        with transaction(self.scene.sessions) as session:
            cancel_job(session, "train", Caller("test", Role.ADMIN), self.scene.now())

    def dispatcher(self) -> Dispatcher:
        """The next one."""
        return Dispatcher(self.scene.sessions, lambda _: self.outside, self.scene.now)

    def go_on_until(self, status: JobStatus) -> None:
        """Dispatch until the job stands so."""
        dispatcher = self.dispatcher()

        def stands_so() -> bool:
            dispatcher.tick()
            return self.scene.job(self.job).status is status

        wait_until(stands_so)

    def states(self) -> dict[UUID, JobState]:
        """Where the cluster's jobs stand."""
        seen = asyncio.run(self.outside.clusters["DE"].observe())
        return {UUID(job.key): job.state for job in seen}

    def times_started(self) -> int:
        """How often the command ran."""
        return len(self.started.read_text().split())


@pytest.fixture
def play(sqlite_url: str, tmp_path: Path) -> Iterator[Play]:
    """A site with four GPUs, and a job planned for now."""
    engine = make_engine(sqlite_url)
    play = Play(make_session_factory(engine), sqlite_url, tmp_path)
    yield play
    play.go.touch()
    engine.dispose()


@pytest.mark.parametrize("point", Point)
def test_killed_while_it_starts_a_job(play: Play, point: Point) -> None:
    """The order is pending on record; the next dispatcher finds out, and the job runs once."""
    play.kill_at("submit", point)
    assert play.outcomes(CommandKind.SUBMIT) == [CommandOutcome.PENDING]
    row = play.scene.job(play.job)
    assert (row.status, row.site) == (JobStatus.WAITING, "DE")
    assert list(play.states()) == ([] if point is Point.RECORDED else [play.job])
    play.go.touch()
    play.go_on_until(JobStatus.SUCCEEDED)
    assert (play.times_started(), play.scene.job(play.job).starts) == (1, 1)


@pytest.mark.parametrize("point", Point)
def test_killed_while_it_starts_a_job_that_is_cancelled_then(play: Play, point: Point) -> None:
    """Where it runs it is ended; where its order never left, it is over once that is certain."""
    play.kill_at("submit", point)
    play.cancel()
    play.dispatcher().tick()
    if point is Point.RECORDED:
        assert play.scene.job(play.job).status is JobStatus.WAITING
        play.scene.at += SETTLES_WITHIN
    play.go_on_until(JobStatus.CANCELLED)
    if point is Point.RECORDED:
        assert (play.states(), play.times_started()) == ({}, 0)
    else:
        assert play.states() == {play.job: JobState.CANCELLED}
        assert play.times_started() == 1


@pytest.mark.parametrize("point", Point)
def test_killed_while_it_cancels_a_job(play: Play, point: Point) -> None:
    """The next one cancels it, or finds that it was."""
    play.go_on_until(JobStatus.RUNNING)
    wait_until(lambda: play.times_started() == 1)
    play.cancel()
    play.kill_at("cancel", point)
    assert play.outcomes(CommandKind.CANCEL) == [CommandOutcome.PENDING]
    play.go_on_until(JobStatus.CANCELLED)
    assert play.states() == {play.job: JobState.CANCELLED}
    assert play.times_started() == 1
