"""Data at clusters that forget or are lost, and at sites that leave the fleet."""

from __future__ import annotations

import pytest

from connectors.errors import Unavailable
from connectors.types import JobOrder, JobState
from scheduler.db.models import JobStatus
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import fleet as fleets
from scheduler.services.dispatch_identity import forget
from scheduler.services.errors import Conflict
from scheduler.services.outside import Outside
from scheduler.services.transfers import open_transfers
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.play import HOUR
from tests.services.scene import put_in_force
from tests.services.staging import DATA, Staging, at, key, links


@pytest.fixture
def play(sessions: SessionFactory) -> Staging:
    """Nothing is submitted yet."""
    return Staging(sessions)


def test_a_cluster_with_another_memory_is_not_believed_to_have_the_data(play: Staging) -> None:
    """Until somebody says that the old one is lost; then the data is brought anew."""
    job = play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    play.at(3)
    play.fr.end(key(job))
    play.at(4)
    play.fr.memory, play.fr.jobs = "another", {}
    play.at(5)
    assert (play.status(job), play.fr.jobs) == (JobStatus.WAITING, {})
    with transaction(play.scene.sessions) as session:
        forget(session, "FR")
    play.at(5.5)
    assert list(play.fr.jobs) == [key(job)]


def test_a_job_whose_order_was_lost_with_its_cluster_has_its_data_brought_anew(
    play: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits and has a site: it is started there, once its data is there again."""
    job = play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    play.at(3)
    play.fr.end(key(job))
    with monkeypatch.context() as patched:
        patched.setattr(play.fr, "submit", _be_lost)
        play.at(5)
    assert (play.status(job), play.scene.job(job).site) == (JobStatus.WAITING, "FR")
    play.fr.memory, play.fr.jobs = "another", {}
    with transaction(play.scene.sessions) as session:
        forget(session, "FR")
    play.at(5.5)
    assert list(play.fr.jobs) == [key(job)]
    play.fr.end(key(job))
    play.at(6)
    assert play.status(job) is JobStatus.RUNNING


def test_a_transfer_its_cluster_forgot_is_begun_anew(play: Staging) -> None:
    """Somebody deleted it there. One that was done stays done."""
    job = play.scene.submit(data=DATA)
    done = play.scene.submit("done", data=DATA)
    put_in_force(play.scene, at("FR", 5), at("FR", 5, "done"))
    play.at(3)
    play.fr.end(key(done))
    play.at(3.1)
    play.fr.jobs.clear()
    play.at(3.2)
    assert (play.left_gb(4), play.left_gb(4, "done")) == ({}, {"FR": 0.0})
    play.at(3.3)
    row = play.transfer(job)
    assert (row.status, row.starts, row.times_forgotten) == (JobStatus.RUNNING, 1, 1)
    assert (row.started_at, row.moving_since) == (START + 3.3 * HOUR, START + 3.3 * HOUR)
    assert play.fr.starts.count(key(job)) == 2
    assert play.fr.starts.count(key(done)) == 1


def without_fr(play: Staging) -> None:
    """Take the site out of the fleet."""
    fleet = fleet_spec(site_spec("DE"), site_spec("NO"), links=links()[1:])
    with transaction(play.scene.sessions) as session:
        fleets.replace_fleet(session, fleet, "test", play.scene.at)
    play.outside = Outside({"DE": play.cluster, "NO": play.no})


def test_a_site_cannot_leave_the_fleet_while_data_moves_to_it(play: Staging) -> None:
    """Ordered or moving; once the data is there, the site may go, and it is brought elsewhere."""
    job = play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    for hour, status in ((3, "waiting"), (3.1, "running")):
        play.at(hour)
        told = rf"site FR is still being brought data of job train \({status}\)"
        with pytest.raises(Conflict, match=told):
            without_fr(play)
    play.fr.end(key(job))
    play.at(4)
    without_fr(play)


def test_a_transfer_left_at_a_site_that_is_no_more_is_closed_with_its_job(play: Staging) -> None:
    """It was paused; while the job is open it stays on record as it was."""
    job = play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    play.at(3)
    put_in_force(play.scene, at("NO", 9), key="moved")
    play.at(4)
    play.at(4.1)
    without_fr(play)
    play.at(5)
    assert play.transfer(job).status is JobStatus.SUSPENDED
    play.cancel()
    play.at(6)
    play.at(7)
    row = play.transfer(job)
    assert (row.status, row.ended_at) == (JobStatus.CANCELLED, START + 6 * HOUR)
    with transaction(play.scene.sessions) as session:
        assert open_transfers(session) == ()


async def _be_lost(order: JobOrder) -> JobState:
    raise Unavailable(f"job {order.key}: no answer")
