"""Dispatch to a cluster that takes its time: its jobs are queued before they run."""

from __future__ import annotations

import pytest

from scheduler.db.models import CommandKind, CommandOutcome, JobStatus
from scheduler.db.session import SessionFactory
from scheduler.services.work import work_done_hours
from tests.services.builders import START, job_spec
from tests.services.fakes import FakeCluster
from tests.services.play import HOUR, PAUSABLE, Play, runs
from tests.services.scene import Scene, put_in_force


@pytest.fixture
def play(sessions: SessionFactory) -> Play:
    """One site with eight GPUs and a queue."""
    cluster = FakeCluster()
    cluster.is_queueing = True
    return Play(Scene(sessions).set_up(), cluster)


def test_a_job_in_the_queue_of_its_cluster_has_not_begun(play: Play) -> None:
    """It is queued until the cluster starts it; its work counts from when it is seen to run."""
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (0, 2)))
    play.at(0)
    play.at(0.5)
    row = play.scene.job(job)
    assert (row.status, row.starts, row.started_at) == (JobStatus.QUEUED, 0, None)
    assert row.reason == "full"
    play.cluster.start(str(job))
    play.at(1.0)
    play.at(2.0)
    row = play.scene.job(job)
    assert (row.status, row.starts, row.started_at) == (JobStatus.RUNNING, 1, START + HOUR)
    assert work_done_hours(row, job_spec(), START + 2 * HOUR) == pytest.approx(1.0)
    assert play.commands() == [(CommandKind.SUBMIT, CommandOutcome.DONE)]


def test_a_job_its_cluster_never_starts_expires_at_its_deadline(play: Play) -> None:
    """It is taken out of the queue, and says that it was not started."""
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (0, 2)))
    play.at(0)
    play.at(24)
    play.at(24.1)
    assert play.scene.job(job).status is JobStatus.EXPIRED
    assert [kind for kind, _ in play.commands()] == [CommandKind.SUBMIT, CommandKind.CANCEL]


def test_a_queued_job_leaves_the_queue_and_comes_back_as_planned(play: Play) -> None:
    """Nothing of it was done, so nothing is a restart; it begins in its second run."""
    job = play.scene.submit(**PAUSABLE)
    put_in_force(play.scene, runs("train", (0, 1), (5, 6)))
    play.at(0)
    play.at(1)
    play.at(1.1)
    assert play.scene.job(job).status is JobStatus.SUSPENDED
    play.at(5)
    play.cluster.start(str(job))
    play.at(5.1)
    row = play.scene.job(job)
    assert (row.status, row.starts, row.work_done_hours) == (JobStatus.RUNNING, 1, 0.0)
