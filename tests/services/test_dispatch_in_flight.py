"""Dispatchers that overtake each other, orders that come late, commands that take a while."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from connectors.errors import GpusBusy, Rejected
from connectors.types import JobObservation, JobOrder, JobState
from optimizer import Placement, Run
from scheduler.db.models import CommandKind, CommandOutcome, JobStatus
from scheduler.db.session import SessionFactory, make_engine, make_session_factory, transaction
from scheduler.services import fleet as fleets
from scheduler.services.errors import Conflict
from scheduler.services.outside import Outside
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.fakes import FakeBattery, FakeCluster
from tests.services.play import HOUR, PAUSABLE, Play, runs
from tests.services.scene import Scene, put_in_force


@pytest.fixture
def play(sqlite_url: str) -> Play:
    """One site with eight GPUs."""
    return Play(Scene(make_session_factory(make_engine(sqlite_url))).set_up(), FakeCluster())


def running(key: UUID | str) -> JobObservation:
    """A job as its cluster reports it."""
    return JobObservation(str(key), JobState.RUNNING, "a100", 1, None, None, None, None, 1)


def in_the_middle_of_its_order(play: Play, happens: object) -> None:
    """Let something happen after the order was recorded and before the cluster gets it."""
    submit = play.cluster.submit

    async def slow(order: JobOrder) -> None:
        await asyncio.to_thread(happens)  # type: ignore[arg-type]
        await submit(order)

    play.cluster.submit = slow  # type: ignore[method-assign]


def test_a_job_cancelled_while_its_order_is_on_its_way_does_not_run_on(play: Play) -> None:
    """Another dispatcher sees it waiting and unknown: it must not call it over yet."""
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (0, 2)))
    second = play.another_dispatcher()

    def cancelled_meanwhile() -> None:
        play.cancel()
        second.tick()

    in_the_middle_of_its_order(play, cancelled_meanwhile)
    play.at(0)
    assert play.status(job) is JobStatus.RUNNING
    play.at(0.01)
    play.at(0.02)
    assert play.cluster.jobs[str(job)].state is JobState.CANCELLED
    assert play.status(job) is JobStatus.CANCELLED
    assert play.kinds() == [CommandKind.SUBMIT, CommandKind.CANCEL]


def test_a_job_whose_order_never_arrived_can_be_cancelled(play: Play) -> None:
    """Once the order can no longer be on its way; until then it is waited for."""
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (0, 2)))

    async def lost(_order: JobOrder) -> None:
        raise TimeoutError

    play.cluster.submit = lost  # type: ignore[method-assign]
    play.at(0)
    play.cancel()
    play.at(0.01)
    assert play.status(job) is JobStatus.WAITING
    play.at(0.1)
    assert play.status(job) is JobStatus.CANCELLED


def test_a_job_that_is_over_and_runs_is_ended(play: Play) -> None:
    """Its order came late. It is told once; a job of somebody else is let be."""
    job = play.scene.submit()
    play.change(job, status=JobStatus.EXPIRED, site="DE")
    stranger = str(uuid4())
    play.cluster.jobs = {key: running(key) for key in (str(job), stranger, "slurm-7")}
    play.at(0)
    play.at(0.001)
    assert play.cluster.jobs[str(job)].state is JobState.CANCELLED
    assert play.cluster.jobs[stranger].state is JobState.RUNNING
    assert play.cluster.jobs["slurm-7"].state is JobState.RUNNING
    assert play.kinds() == [CommandKind.CANCEL]
    assert play.status(job) is JobStatus.EXPIRED


def test_a_job_runs_at_one_site(play: Play) -> None:
    """Seen at another than it was handed to it is ended there; seen before it was handed, kept."""
    handed = play.scene.submit("handed")
    nowhere = play.scene.submit("nowhere")
    play.change(handed, site="DE", point="a100x1")
    fr = FakeCluster("FR")
    play.outside = Outside({"DE": play.cluster, "FR": fr})
    fr.jobs = {str(handed): running(handed), str(nowhere): running(nowhere)}
    play.at(0)
    assert fr.jobs[str(handed)].state is JobState.CANCELLED
    row = play.scene.job(nowhere)
    assert (row.status, row.site) == (JobStatus.RUNNING, "FR")


def test_a_job_its_site_has_no_gpus_for_can_go_elsewhere(sqlite_url: str) -> None:
    """The cluster says busy: nothing is held against another plan, or against cancelling."""
    sessions = make_session_factory(make_engine(sqlite_url))
    scene = Scene(sessions).set_up(fleet_spec(site_spec(), site_spec("FR")))
    play = Play(scene, FakeCluster())
    play.outside = Outside({"DE": play.cluster, "FR": FakeCluster("FR")})

    async def busy(_order: JobOrder) -> None:
        raise GpusBusy("somebody else was faster")

    play.cluster.submit = busy  # type: ignore[method-assign]
    job = scene.submit()
    put_in_force(scene, runs("train", (0, 2)))
    play.at(0)
    assert (scene.job(job).site, scene.job(job).point) == (None, None)
    put_in_force(scene, Placement("train", "FR", (Run("FR/a100x1", 1, 3),)), key="elsewhere")
    play.at(1)
    assert (scene.job(job).status, scene.job(job).site) == (JobStatus.RUNNING, "FR")


def test_gpus_somebody_elses_order_may_have_taken_keep_the_job_at_its_site(play: Play) -> None:
    """Two dispatchers send one job: the second is told "busy" because the first one got in."""
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (0, 2)))
    second = play.another_dispatcher()
    submit = play.cluster.submit

    async def busy(_order: JobOrder) -> None:
        raise GpusBusy("taken")

    def second_is_told_busy() -> None:
        play.cluster.submit = busy  # type: ignore[method-assign]
        second.tick()
        assert play.scene.job(job).site == "DE"
        play.cluster.submit = submit  # type: ignore[method-assign]

    in_the_middle_of_its_order(play, second_is_told_busy)
    play.at(0)
    assert play.status(job) is JobStatus.RUNNING


def test_a_site_that_was_handed_a_job_cannot_leave_the_fleet(play: Play) -> None:
    """Its cluster may be starting it."""
    job = play.scene.submit()
    play.change(job, site="DE")
    with (
        pytest.raises(Conflict, match="site DE still has job train"),
        transaction(play.scene.sessions) as session,
    ):
        fleets.replace_fleet(session, fleet_spec(site_spec("FR")), "test", START)


def test_a_job_of_a_site_that_is_no_more_still_ends(play: Play) -> None:
    """It expires, and it can be cancelled."""
    expires = play.scene.submit("expires")
    cancelled = play.scene.submit("cancelled", deadline_at=START + 48 * HOUR)
    play.change(expires, site="XX")
    play.change(cancelled, site="XX")
    play.cancel("cancelled")
    play.at(24)
    assert play.status(expires) is JobStatus.EXPIRED
    assert play.status(cancelled) is JobStatus.CANCELLED


def test_one_job_that_cannot_be_reckoned_with_stops_no_other(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that cannot be read nor one whose numbers overflow."""
    unreadable = play.scene.submit("unreadable")
    overflows = play.scene.submit("overflows")
    good = play.scene.submit()
    put_in_force(play.scene, runs("train", (0, 2)))
    play.change(unreadable, spec={"name": "unreadable"})

    def overflow(row: object, *_: object) -> dict[str, object]:
        if row.id == overflows:  # type: ignore[attr-defined]
            raise OverflowError("date value out of range")
        return {}

    monkeypatch.setattr("scheduler.services.dispatch_follow.changes", overflow)
    play.at(0)
    assert play.status(good) is JobStatus.RUNNING


def test_a_command_under_way_is_not_sent_again(play: Play) -> None:
    """A pause takes its grace; only where nothing came of it is it asked for anew."""
    job = play.scene.submit(**PAUSABLE, checkpoint_grace_s=600)
    put_in_force(play.scene, runs("train", (0, 1), (5, 6)))
    play.at(0)

    async def saves(_key: str) -> None:
        return

    play.cluster.suspend = saves  # type: ignore[method-assign]
    play.cluster.cancel = saves  # type: ignore[method-assign]
    for minutes in (60, 61, 65, 70):
        play.at(minutes / 60)
    assert play.kinds() == [CommandKind.SUBMIT, CommandKind.SUSPEND]
    play.at(1.25)
    assert play.kinds()[2:] == [CommandKind.SUSPEND]
    play.cancel()
    for minutes in (76, 77, 80):
        play.at(minutes / 60)
    assert play.kinds()[3:] == [CommandKind.CANCEL]
    assert play.status(job) is JobStatus.RUNNING


def test_a_paused_job_waits_for_its_gpus_without_asking(play: Play) -> None:
    """Two would go on, and there are GPUs for one; the other one goes on when it has ended."""
    eight = {"operating_points": [{"pool": "a100", "gpus": 8, "kw": 8.0}], **PAUSABLE}
    first = play.scene.submit("first", **eight)
    play.scene.wait(minutes=1)
    second = play.scene.submit("second", **eight)
    for job in (first, second):
        play.change(job, status=JobStatus.SUSPENDED, site="DE", point="a100x8", starts=1)
        play.cluster.add_suspended(str(job), "a100")
    play.at(22)
    play.at(22.1)
    assert play.commands() == [(CommandKind.RESUME, CommandOutcome.DONE)]
    assert play.status(first) is JobStatus.RUNNING
    play.cluster.end(str(first))
    play.at(22.2)
    assert play.kinds() == [CommandKind.RESUME, CommandKind.RESUME]


def test_what_a_battery_refused_is_not_asked_again_in_this_slot(sessions: SessionFactory) -> None:
    """One row an hour, not one a tick."""
    battery = {"power_kw": 2, "capacity_kwh": 4}
    scene = Scene(sessions).set_up(fleet_spec(site_spec(batteries=[battery])))
    play = Play(scene, FakeCluster())
    refusing = FakeBattery("battery", scene.now)

    async def refuse(_power_kw: float) -> None:
        raise Rejected("not while somebody works on it")

    refusing.set_power = refuse  # type: ignore[method-assign]
    play.outside = Outside({"DE": play.cluster}, {("DE", "battery"): refusing})
    put_in_force(scene)
    for minutes in range(0, 90, 10):
        scene.at = START + timedelta(minutes=minutes)
        play.dispatcher.tick()
    assert play.commands() == [(CommandKind.BATTERY_POWER, CommandOutcome.REFUSED)] * 2
