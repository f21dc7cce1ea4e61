"""Power caps: told as the plan says, and recorded as they are really in force, or are not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connectors.types import JobState
from optimizer import Placement, Run
from scheduler.db.models import CommandKind
from scheduler.db.session import SessionFactory
from tests.services.fakes import FakeCluster
from tests.services.play import PAUSABLE, Play, runs
from tests.services.scene import Scene, put_in_force


@pytest.fixture
def play(sessions: SessionFactory) -> Play:
    """On each kind of database."""
    return Play(Scene(sessions).set_up(), FakeCluster())


def test_a_power_cap_follows_the_plan(play: Play) -> None:
    """Same GPUs, another cap: the job runs on and is told."""
    points = [
        {"pool": "a100", "gpus": 1, "kw": 1.0, "speed": 1.0},
        {"pool": "a100", "gpus": 1, "kw": 0.5, "speed": 0.5, "power_cap_w": 200},
    ]
    job = play.scene.submit(operating_points=points, is_elastic=True)
    placement = Placement("train", "DE", (Run("DE/a100x1", 0, 1), Run("DE/a100x1@200W", 1, 3)))
    put_in_force(play.scene, placement)
    play.at(0)
    play.at(1)
    assert play.cluster.jobs[str(job)].power_cap_w == 200
    play.at(1.5)
    row = play.scene.job(job)
    assert (row.point, row.work_done_hours) == ("a100x1@200W", pytest.approx(1.0))
    assert [kind for kind, _ in play.commands()] == [CommandKind.SUBMIT, CommandKind.POWER_CAP]


def test_what_is_in_force_is_kept_with_the_job(play: Play) -> None:
    """A refusal in the words of the node; and nothing any more once the job does not run."""
    job = play.scene.submit("train", **PAUSABLE)
    put_in_force(play.scene, runs("train", (0, 1), (4, 5)))
    play.at(0)
    play.at(0.1)
    row = play.scene.job(job)
    assert (row.power_cap_in_force_w, row.power_cap_problem) == (None, "")
    key = str(job)
    problem = "n1: GPU 0: cap = 50 W, must be within [100.00, 700.00] W"
    play.cluster.jobs[key] = replace(
        play.cluster.jobs[key], power_cap_in_force_w=700.0, power_cap_problem=problem
    )
    play.at(0.2)
    row = play.scene.job(job)
    assert (row.power_cap_in_force_w, row.power_cap_problem) == (700.0, problem)
    play.cluster.jobs[key] = replace(
        play.cluster.jobs[key], power_cap_in_force_w=200.0, power_cap_problem=""
    )
    play.at(0.3)
    row = play.scene.job(job)
    assert (row.power_cap_in_force_w, row.power_cap_problem) == (200.0, "")
    play.cluster.jobs[key] = replace(
        play.cluster.jobs[key], state=JobState.SUSPENDED, gpus=0, power_cap_in_force_w=None
    )
    play.at(1.1)
    assert play.scene.job(job).power_cap_in_force_w is None
