"""What of a transfer is left for a plan to make room for, through pauses, failures and restarts."""

from __future__ import annotations

import pytest

from connectors.types import JobState
from scheduler.db.session import SessionFactory
from tests.services.builders import START
from tests.services.play import HOUR
from tests.services.scene import propose, put_in_force
from tests.services.staging import DATA, Staging, at, key


@pytest.fixture
def play(sessions: SessionFactory) -> Staging:
    """Nothing is submitted yet."""
    return Staging(sessions)


def test_a_plan_proposed_while_data_moves_counts_what_is_left(play: Staging) -> None:
    """Half way after an hour; nothing once it is there, and nothing is paid a second time."""
    job = play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    play.at(3)
    play.scene.wait(seconds=10)
    play.dispatcher.tick()

    def left_gb(start_h: int) -> tuple[tuple[str, float], ...]:
        planned = propose(play.scene, start_h=start_h, key=f"at {play.scene.at}")
        (found,) = play.scene.document(planned).problem.jobs
        assert found.data is not None
        return found.data.left_gb

    (half,) = left_gb(4)
    assert half == ("FR", pytest.approx(10.0, abs=0.2))
    play.scene.at = START + 4.9 * HOUR
    assert left_gb(5) == (("FR", 0.0),)
    play.scene.at = START + 5.5 * HOUR
    (overdue,) = left_gb(6)
    assert 0.0 < overdue[1] < 1.0
    play.fr.end(key(job))
    play.at(5.6)
    planned = propose(play.scene, at("FR", 0), start_h=6, key="done")
    assert play.scene.document(planned).plan.terms.data_transfer_eur == 0.0


def test_a_plan_counts_only_the_time_in_which_data_moved(play: Staging) -> None:
    """An hour, two hours' pause, and the other hour, for which a plan leaves no more room."""
    job = play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    play.at(3)
    play.at(3.01)
    put_in_force(play.scene, at("NO", 9), key="moved")
    play.at(4)
    play.at(4.01)
    assert play.left_gb(6) == {"FR": pytest.approx(10.0, abs=0.2)}
    put_in_force(play.scene, at("FR", 7), key="back")
    play.at(5)
    assert play.fr.jobs[key(job)].state is JobState.SUSPENDED
    play.at(6)
    play.at(6.01)
    assert play.transfer(job).moving_since == START + 6.01 * HOUR
    assert play.left_gb(6.5) == {"FR": pytest.approx(5.0, abs=0.2)}
    play.fr.end(key(job))
    play.at(7.01)
    row = play.transfer(job)
    assert (row.hours, row.moving_since) == (pytest.approx(2.0), None)
    assert row.gb_per_hour == pytest.approx(10.0)
    assert (row.started_at, row.ended_at) == (START + 3.01 * HOUR, START + 7.01 * HOUR)


def test_a_plan_counts_what_moved_before_a_failure(play: Staging) -> None:
    """The retry goes on where it stopped; the wait for it moved nothing."""
    job = play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    play.at(3)
    play.at(3.01)
    play.fr.end(key(job), JobState.FAILED, 23)
    play.at(3.51)
    assert play.left_gb(4) == {"FR": pytest.approx(15.0, abs=0.2)}
    play.at(4.51)
    play.at(4.52)
    assert play.left_gb(5.02) == {"FR": pytest.approx(10.0, abs=0.2)}


def test_what_is_paused_overdue_has_a_little_left(play: Staging) -> None:
    """It moved for longer than it should take, and has not arrived."""
    play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    play.at(3)
    play.at(3.01)
    put_in_force(play.scene, at("NO", 11), key="moved")
    play.at(7)
    play.at(7.01)
    (left,) = play.left_gb(8).values()
    assert 0.0 < left < 1.0


def test_an_attempt_its_cluster_began_by_itself_adds_to_the_one_before(play: Staging) -> None:
    """Its node was lost and it was started again: an hour and then a half moved."""
    job = play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    play.at(3)
    play.at(3.01)
    play.fr.start(key(job))
    play.at(4.01)
    row = play.transfer(job)
    assert (row.hours, row.moving_since) == (pytest.approx(1.0), START + 4.01 * HOUR)
    play.fr.end(key(job))
    play.at(4.51)
    assert play.transfer(job).hours == pytest.approx(1.5)
