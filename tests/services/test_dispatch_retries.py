"""A job that crashes goes on while it has retries left, and then has failed."""

from __future__ import annotations

import pytest

from connectors.types import JobState
from scheduler.db.models import CommandKind, JobStatus
from scheduler.db.session import SessionFactory
from tests.services.fakes import FakeCluster
from tests.services.play import PAUSABLE, Play, runs
from tests.services.scene import Scene, put_in_force


@pytest.fixture
def play(sessions: SessionFactory) -> Play:
    """One site with eight GPUs."""
    return Play(Scene(sessions).set_up(), FakeCluster())


def crash(play: Play, key: str) -> None:
    """Let a job end with exit code 7."""
    play.cluster.end(key, JobState.FAILED, 7)


def test_without_retries_a_crash_is_the_end(play: Play) -> None:
    """It is not started again."""
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (0, 2)))
    play.at(0)
    crash(play, str(job))
    play.at(0.5)
    row = play.scene.job(job)
    assert (row.status, row.crashes, row.exit_code) == (JobStatus.FAILED, 0, 7)


def test_a_job_that_cannot_pause_is_started_again_from_its_beginning(play: Play) -> None:
    """At once, as often as it has retries; what it had done is lost."""
    job = play.scene.submit(retries=2, work_hours=4)
    put_in_force(play.scene, runs("train", (0, 4)))
    play.at(0)
    for crashes in (1, 2):
        crash(play, str(job))
        play.at(crashes - 0.5)
        row = play.scene.job(job)
        assert (row.status, row.crashes) == (JobStatus.SUSPENDED, crashes)
        assert row.reason.endswith(f"retry {crashes} of 2")
        assert row.work_done_hours == 0.0
        play.at(crashes - 0.4)
        assert play.scene.job(job).status is JobStatus.RUNNING
        assert play.cluster.orders[str(job)].after_starts == crashes
    crash(play, str(job))
    play.at(2.5)
    row = play.scene.job(job)
    assert (row.status, row.crashes, row.starts) == (JobStatus.FAILED, 2, 3)
    assert [kind for kind, _ in play.commands()] == [
        CommandKind.SUBMIT,
        CommandKind.RESUME,
        CommandKind.RESUME,
    ]


def test_a_job_with_checkpoints_goes_on_when_the_plan_has_it_run(play: Play) -> None:
    """It crashed in its first run; the second is its retry, and what was done counts."""
    job = play.scene.submit(**PAUSABLE, retries=1)
    put_in_force(play.scene, runs("train", (0, 1), (5, 6)))
    play.at(0)
    play.at(0.9)
    crash(play, str(job))
    play.at(1)
    play.at(4)
    row = play.scene.job(job)
    assert (row.status, row.starts) == (JobStatus.SUSPENDED, 1)
    assert row.work_done_hours == pytest.approx(1.0)
    play.at(5)
    play.at(5.1)
    assert play.scene.job(job).status is JobStatus.RUNNING


def test_a_crash_after_the_deadline_or_a_cancellation_is_the_end(play: Play) -> None:
    """There is nothing left to retry for."""
    late = play.scene.submit("late", retries=5, work_hours=24)
    unwanted = play.scene.submit("unwanted", retries=5, work_hours=24)
    put_in_force(play.scene, runs("late", (0, 24)), runs("unwanted", (0, 24)))
    play.at(0)
    play.cancel("unwanted")
    crash(play, str(unwanted))
    play.at(1)
    assert play.scene.job(unwanted).status is JobStatus.FAILED
    crash(play, str(late))
    play.at(24)
    assert play.scene.job(late).status is JobStatus.FAILED
