"""Data of jobs is brought to where they are to run, tick by tick, and that is on record."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connectors.errors import GpusBusy, Rejected, Unavailable
from connectors.types import JobOrder, JobState
from scheduler.db.models import CommandKind, CommandOutcome, JobStatus
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.schedule import schedule_in_force
from tests.services.builders import START
from tests.services.play import HOUR
from tests.services.scene import put_in_force
from tests.services.staging import DATA, STAGE, SUBMIT, Staging, at, key


@pytest.fixture
def play(sessions: SessionFactory) -> Staging:
    """Nothing is submitted yet."""
    return Staging(sessions)


def test_data_is_moved_first_and_its_time_and_price_are_on_record(play: Staging) -> None:
    """Two hours of transfer from hour 3 on; done in one and a half; the job runs at hour 5."""
    job = play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    play.at(2.9)
    assert play.fr.starts == []
    with transaction(play.scene.sessions) as session:
        (planned,) = schedule_in_force(session, play.scene.at).jobs
    assert planned.data_from_at == START + 3 * HOUR
    play.at(3)
    assert play.fr.starts == [key(job)]
    assert play.transfer(job).status is JobStatus.WAITING
    play.at(3.1)
    assert play.transfer(job).status is JobStatus.RUNNING
    play.fr.end(key(job))
    play.at(4.6)
    row = play.transfer(job)
    assert (row.status, row.exit_code, row.starts, row.failures) == (JobStatus.SUCCEEDED, 0, 1, 0)
    assert (row.from_site, row.size_gb, row.eur) == ("DE", 20.0, pytest.approx(2.0))
    assert (row.started_at, row.ended_at) == (START + 3.1 * HOUR, START + 4.6 * HOUR)
    assert (row.gb_per_hour, row.link_gb_per_hour) == (pytest.approx(20 / 1.5), 10.0)
    assert play.fr.starts == [key(job)]
    play.at(5)
    assert play.fr.starts == [key(job), str(job)]
    assert play.fr.orders[key(job)].data == play.fr.orders[str(job)].data == str(job)
    assert play.commands() == [(STAGE, CommandOutcome.DONE), (SUBMIT, CommandOutcome.DONE)]
    assert play.scene.job(job).started_at == START + 5 * HOUR


def test_a_transfer_that_takes_longer_delays_its_job(play: Staging) -> None:
    """The job's first slot comes and goes; it starts when its data is there."""
    job = play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    for hour in (3, 5, 6):
        play.at(hour)
    assert play.status(job) is JobStatus.WAITING
    play.fr.end(key(job))
    play.at(6.5)
    assert play.status(job) is JobStatus.RUNNING


def test_a_transfer_that_fails_is_retried_and_then_its_job_has_failed(play: Staging) -> None:
    """One retry, a minute later; the job says why, the record what of."""
    job = play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    play.at(3)
    play.fr.end(key(job), JobState.FAILED, 23)
    play.at(3.5)
    row = play.transfer(job)
    assert (row.status, row.failures, row.exit_code) == (JobStatus.FAILED, 1, 23)
    play.at(3.6)
    assert play.fr.orders[key(job)].after_starts == 1
    play.at(3.7)
    assert (play.transfer(job).status, play.transfer(job).starts) == (JobStatus.RUNNING, 2)
    play.fr.end(key(job), JobState.FAILED, 30)
    play.at(4)
    play.at(5)
    row, ended = play.transfer(job), play.scene.job(job)
    assert (row.failures, row.exit_code, row.eur) == (2, 30, None)
    assert ended.status is JobStatus.FAILED
    assert ended.reason.startswith("its data could not be brought to FR")
    assert (ended.site, play.kinds()) == (None, [STAGE, STAGE])


def test_a_refused_transfer_fails_its_job(play: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the words of the cluster."""

    async def refuse(_: JobOrder) -> JobState:
        raise Rejected("there is no volume that pods share")

    monkeypatch.setattr(play.fr, "submit", refuse)
    job = play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    play.at(3)
    play.at(3.1)
    ended = play.scene.job(job)
    assert ended.status is JobStatus.FAILED
    assert ended.reason.endswith("brought to FR: there is no volume that pods share")


def test_an_answer_that_was_lost_makes_no_second_transfer(play: Staging) -> None:
    """Ordered again under the same key, or seen before that."""
    job = play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    play.fr.loses_answers = True
    play.at(3)
    assert play.commands() == [(STAGE, CommandOutcome.RETRY)]
    play.fr.loses_answers = False
    play.at(3.1)
    play.another_dispatcher().tick()
    assert play.fr.starts == [key(job)]
    assert play.transfer(job).status is JobStatus.RUNNING


def test_nothing_is_assumed_of_a_transfer_whose_cluster_is_silent(play: Staging) -> None:
    """Neither that it failed nor that it is done; when it answers, what is true counts."""
    job = play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    play.at(3)
    play.at(3.1)
    play.fr.is_silent = True
    play.fr.end(key(job))
    play.at(5)
    assert play.transfer(job).status is JobStatus.RUNNING
    assert play.status(job) is JobStatus.WAITING
    play.fr.is_silent = False
    play.at(5.5)
    assert play.status(job) is JobStatus.RUNNING


def test_a_job_moved_by_a_new_plan_has_its_data_brought_there(play: Staging) -> None:
    """The first transfer is paused; once the job has begun elsewhere it is over for good."""
    job = play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    play.at(3)
    put_in_force(play.scene, at("NO", 9), start_h=0, key="moved")
    play.at(4)
    assert play.fr.jobs[key(job)].state is JobState.SUSPENDED
    assert play.no.starts == []
    play.at(7)
    assert play.no.starts == [key(job, "NO")]
    assert play.transfer(job).status is JobStatus.SUSPENDED
    play.no.end(key(job, "NO"))
    play.at(9)
    play.at(9.5)
    play.at(9.6)
    assert play.scene.job(job).site == "NO"
    assert play.fr.jobs[key(job)].state is JobState.CANCELLED
    assert play.transfer(job).status is JobStatus.CANCELLED
    assert play.transfer(job).eur is None
    assert play.transfer(job, "NO").eur == pytest.approx(2.0)


def test_a_transfer_goes_on_where_the_job_comes_back(play: Staging) -> None:
    """The plan thinks better of it: what was paused goes on, under the same key."""
    job = play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    play.at(3)
    put_in_force(play.scene, at("NO", 9), key="moved")
    play.at(4)
    put_in_force(play.scene, at("FR", 7), key="back")
    play.at(5)
    play.at(5.1)
    row = play.transfer(job)
    assert (row.status, row.starts, row.failures) == (JobStatus.RUNNING, 2, 0)
    assert play.fr.starts == [key(job)]


def test_a_job_that_finds_no_gpus_elsewhere_may_come_back_to_its_data(
    play: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders to NO were lost, and then others were faster: its transfer to FR is not over."""
    job = play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    play.at(3)
    put_in_force(play.scene, at("NO", 7), key="moved")
    play.at(5)
    play.at(5.01)
    play.no.end(key(job, "NO"))
    with monkeypatch.context() as patched:
        patched.setattr(play.no, "submit", _be_lost)
        play.at(7)
        play.at(7.1)
        patched.setattr(play.no, "submit", _take_nobody)
        play.at(7.2)
    assert play.commands()[-1] == (SUBMIT, CommandOutcome.BUSY)
    put_in_force(play.scene, at("FR", 2), start_h=8, key="back")
    play.at(8)
    play.at(8.1)
    assert play.transfer(job).status is JobStatus.RUNNING


@pytest.mark.parametrize("is_silent", [False, True])
def test_a_cancelled_job_has_its_transfer_cancelled(play: Staging, is_silent: bool) -> None:
    """Also where its cluster did not answer at that time."""
    job = play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    play.at(3)
    play.at(3.1)
    play.cancel()
    assert play.status(job) is JobStatus.CANCELLED
    play.fr.is_silent = is_silent
    play.at(3.2)
    play.fr.is_silent = False
    play.at(3.3)
    assert play.fr.jobs[key(job)].state is JobState.CANCELLED
    play.at(3.4)
    play.at(3.5)
    assert play.transfer(job).status is JobStatus.CANCELLED
    assert play.kinds().count(CommandKind.STAGE_CANCEL) == 1


def test_an_order_that_arrives_after_the_job_was_cancelled_is_ended(play: Staging) -> None:
    """It was on its way all the time; what is on record of it is over before."""
    job = play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    play.at(3)
    order, seen = play.fr.orders.pop(key(job)), play.fr.jobs.pop(key(job))
    play.cancel()
    play.at(3.1)
    assert play.transfer(job).status is JobStatus.CANCELLED
    play.fr.orders[key(job)], play.fr.jobs[key(job)] = order, seen
    play.at(3.2)
    assert play.fr.jobs[key(job)].state is JobState.CANCELLED


def test_a_dispatcher_that_dies_between_order_and_outcome_makes_no_second_transfer(
    play: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on record before it is ordered, and found by its key after."""
    job = play.scene.submit(data=DATA)
    put_in_force(play.scene, at("FR", 5))
    with monkeypatch.context() as patched:
        patched.setattr("scheduler.services.dispatch.record_outcome", _die)
        play.scene.at = START + 3 * HOUR
        with pytest.raises(KeyboardInterrupt):
            play.another_dispatcher().tick()
    assert play.commands() == [(STAGE, CommandOutcome.PENDING)]
    play.scene.wait(minutes=1)
    play.dispatcher.tick()
    assert play.fr.starts == [key(job)]
    assert play.transfer(job).ordered_at == START + timedelta(hours=3)
    assert play.transfer(job).status is JobStatus.RUNNING


async def _be_lost(order: JobOrder) -> JobState:
    raise Unavailable(f"job {order.key}: no answer")


async def _take_nobody(order: JobOrder) -> JobState:
    raise GpusBusy(f"job {order.key}: not now")


def _die(*_: object) -> None:
    raise KeyboardInterrupt
