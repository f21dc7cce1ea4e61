"""Runs of jobs are written down as dispatch sees them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from connectors.types import JobState
from optimizer import Placement, Run
from scheduler.db.models import JobRun
from scheduler.db.session import SessionFactory, transaction
from tests.services.builders import START
from tests.services.fakes import FakeCluster
from tests.services.play import HOUR, PAUSABLE, Play, runs
from tests.services.scene import Scene, put_in_force


@pytest.fixture
def play(sessions: SessionFactory) -> Play:
    """A cluster of eight GPUs."""
    return Play(Scene(sessions).set_up(), FakeCluster())


def written(play: Play) -> list[tuple[float, float | None, str | None, int]]:
    """Hours from START, point and number of each run."""
    with transaction(play.scene.sessions) as session:
        rows = session.scalars(select(JobRun).order_by(JobRun.began_at)).all()
    return [
        (
            (row.began_at - START) / HOUR,
            None if row.ended_at is None else (row.ended_at - START) / HOUR,
            row.point,
            row.start,
        )
        for row in rows
    ]


def test_a_run_lasts_from_start_to_end(play: Play) -> None:
    """As the tick sees it that sees it."""
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (1, 3)))
    play.at(0)
    assert written(play) == []
    play.at(1)
    assert written(play) == [(1.0, None, "a100x1", 1)]
    play.cluster.end(str(job))
    play.at(2.5)
    assert written(play) == [(1.0, 2.5, "a100x1", 1)]


def test_a_pause_ends_a_run_and_a_resumption_begins_another(play: Play) -> None:
    """Each has the number of its start."""
    play.scene.submit(**PAUSABLE)
    put_in_force(play.scene, runs("train", (1, 2), (4, 5)))
    for hour in (1, 2, 2.25, 4, 4.25):
        play.at(hour)
    assert written(play) == [(1.0, 2.25, "a100x1", 1), (4.25, None, "a100x1", 2)]


def test_another_power_cap_begins_another_run(play: Play) -> None:
    """It draws otherwise from then on."""
    points = [
        {"pool": "a100", "gpus": 1, "kw": 1.0},
        {"pool": "a100", "gpus": 1, "kw": 0.5, "speed": 0.5, "power_cap_w": 200.0},
    ]
    play.scene.submit(operating_points=points, is_elastic=True, work_hours=1.5)
    steps = (Run("DE/a100x1", 1, 2), Run("DE/a100x1@200W", 2, 3))
    put_in_force(play.scene, Placement("train", "DE", steps))
    play.at(1)
    play.at(2)
    assert written(play) == [(1.0, 2.0, "a100x1", 1), (2.0, None, "a100x1@200W", 1)]


def test_a_restart_that_nobody_saw_begins_another_run(play: Play) -> None:
    """A cluster may have begun a job anew between two ticks: its account tells of each start."""
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (1, 3)))
    play.at(1)
    play.cluster.start(str(job))
    play.at(1.5)
    play.at(1.75)
    assert written(play) == [(1.0, 1.5, "a100x1", 1), (1.5, None, "a100x1", 2)]


def test_what_waits_in_a_cluster_does_not_run(play: Play) -> None:
    """It runs once the cluster gave it GPUs; one that is lost with its cluster's memory ends."""
    job = play.scene.submit()
    play.cluster.is_queueing = True
    put_in_force(play.scene, runs("train", (1, 3)))
    play.at(1)
    assert written(play) == []
    play.cluster.start(str(job))
    play.at(1.5)
    assert written(play) == [(1.5, None, "a100x1", 1)]
    del play.cluster.jobs[str(job)]
    play.at(2)
    assert written(play) == [(1.5, 2.0, "a100x1", 1)]


def test_two_dispatchers_write_one_run(play: Play) -> None:
    """What one has seen, the other does not write again."""
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (1, 3)))
    other = play.another_dispatcher()
    play.at(1)
    other.tick()
    play.cluster.end(str(job), JobState.FAILED, 1)
    play.at(2)
    play.scene.at += timedelta(minutes=1)
    other.tick()
    assert written(play) == [(1.0, 2.0, "a100x1", 1)]
