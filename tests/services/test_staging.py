"""Data of jobs is brought to where they are to run, tick by tick, and that is on record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from connectors.errors import GpusBusy, Rejected, Unavailable
from connectors.types import JobOrder, JobState
from optimizer import Placement, Run
from scheduler.db.models import CommandKind, CommandOutcome, DataTransfer, Job, JobStatus
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import fleet as fleets
from scheduler.services.carried_state import data_left_gb
from scheduler.services.dispatch_identity import forget
from scheduler.services.errors import Conflict
from scheduler.services.outside import Outside
from scheduler.services.schedule import schedule_in_force
from scheduler.services.transfers import open_transfers, transfers_of
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.fakes import FakeCluster
from tests.services.play import HOUR, Play
from tests.services.scene import Scene, propose, put_in_force

DATA: dict[str, Any] = {"site": "DE", "size_gb": 20.0, "command": ["rsync", "-a"], "retries": 1}
STAGE, SUBMIT = CommandKind.STAGE, CommandKind.SUBMIT


def links() -> list[dict[str, Any]]:
    """From DE to both others at 10 GB/h and 0.10 EUR/GB."""
    return [
        {"from_site": "DE", "to_site": to, "gb_per_hour": 10.0, "eur_per_gb": 0.1}
        for to in ("FR", "NO")
    ]


class Staging(Play):
    """Three sites; the data of ``train`` lies at DE, and it is 20 GB."""

    def __init__(self, sessions: SessionFactory) -> None:
        sites = [site_spec(name) for name in ("DE", "FR", "NO")]
        scene = Scene(sessions).set_up(fleet_spec(*sites, links=links()))
        super().__init__(scene, FakeCluster())
        self.fr, self.no = FakeCluster("FR"), FakeCluster("NO")
        self.outside = Outside({"DE": self.cluster, "FR": self.fr, "NO": self.no})

    def left_gb(self, hours: float, job: str = "train") -> dict[str, float]:
        """What a plan made now, for a window from so many hours from START, counts as left."""
        with transaction(self.scene.sessions) as session:
            left = data_left_gb(session, self.scene.fleet, START + hours * HOUR, self.scene.at)
            row = session.scalars(select(Job).where(Job.name == job)).one()
            return left.get(row.id, {})

    def transfer(self, job: UUID, site: str = "FR") -> DataTransfer:
        """What is on record of a transfer."""
        with transaction(self.scene.sessions) as session:
            return next(one for one in transfers_of(session, [job])[job] if one.site == site)


def at(site: str, start: int, job: str = "train") -> Placement:
    """Two hours at a site."""
    return Placement(job, site, (Run(f"{site}/a100x1", start, start + 2),))


def key(job: UUID, site: str = "FR") -> str:
    """Key of the order that brings the data of a job."""
    return f"data-{job}-{site}"


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
