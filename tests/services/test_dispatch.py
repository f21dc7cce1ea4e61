"""Dispatch: what the plan wants now is what the clusters do, tick by tick."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.errors import GpusBusy
from connectors.types import JobState, PoolCapacity
from optimizer import Placement, Run, SolveLimits, solve
from scheduler.db.models import (
    CommandKind,
    CommandOutcome,
    JobStatus,
    PlanningRun,
    RunStatus,
)
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.dispatch import Dispatcher
from scheduler.services.dispatch_identity import forget
from scheduler.services.documents import make_document
from scheduler.services.outside import Outside
from scheduler.services.planning import review, store_result
from scheduler.services.planning_inputs import read_inputs
from scheduler.services.planning_queue import Lease
from scheduler.services.plans import read_in_force
from scheduler.services.work import work_done_hours
from tests.services.builders import START, fleet_spec, job_spec, site_spec
from tests.services.fakes import FakeBattery, FakeCluster
from tests.services.play import HOUR, PAUSABLE, Play, runs
from tests.services.scene import Scene, propose, put_in_force


@pytest.fixture
def play(sessions: SessionFactory) -> Play:
    """One site with eight GPUs."""
    return Play(Scene(sessions).set_up(), FakeCluster())


def test_a_job_runs_when_its_plan_says_and_is_followed_to_its_end(play: Play) -> None:
    """Waiting until hour 2, started once, seen to succeed."""
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (2, 4)))
    play.at(1.9)
    assert play.cluster.starts == []
    play.at(2.0)
    play.at(2.5)
    assert play.cluster.starts == [str(job)]
    row = play.scene.job(job)
    assert (row.status, row.site, row.point) == (JobStatus.RUNNING, "DE", "a100x1")
    assert row.started_at == START + 2 * HOUR
    order = play.cluster.orders[str(job)]
    assert (order.command, order.pool, order.gpus) == (("true",), "a100", 1)
    play.cluster.end(str(job))
    play.at(4.0)
    row = play.scene.job(job)
    assert (row.status, row.exit_code, row.ended_at) == (JobStatus.SUCCEEDED, 0, START + 4 * HOUR)
    assert row.work_done_hours == pytest.approx(2.0)
    assert play.commands() == [(CommandKind.SUBMIT, CommandOutcome.DONE)]


def test_a_pausable_job_is_paused_and_goes_on_as_planned(play: Play) -> None:
    """Runs 0-1 and 5-6; the work of the first run counts."""
    job = play.scene.submit(**PAUSABLE)
    put_in_force(play.scene, runs("train", (0, 1), (5, 6)))
    play.at(0)
    play.at(1)
    assert play.cluster.jobs[str(job)].state is JobState.SUSPENDED
    play.at(1.1)
    row = play.scene.job(job)
    assert row.status is JobStatus.SUSPENDED
    assert row.work_done_hours == pytest.approx(1.1)
    play.at(4.9)
    play.at(5)
    play.at(5.1)
    row = play.scene.job(job)
    assert (row.status, row.starts) == (JobStatus.RUNNING, 2)
    sent = [kind for kind, _ in play.commands()]
    assert sent == [CommandKind.SUBMIT, CommandKind.SUSPEND, CommandKind.RESUME]


@pytest.mark.parametrize(("how", "state"), [({}, "running"), (PAUSABLE, "suspended")])
def test_a_contiguous_job_is_never_stopped(play: Play, how: dict[str, Any], state: str) -> None:
    """A plan made before its start and approved after it wants it later: only a pause can be."""
    job = play.scene.submit(**how)
    later = propose(play.scene, runs("train", (3, 5)), key="later")
    put_in_force(play.scene, runs("train", (0, 2)))
    play.at(0)
    play.scene.approve(later)
    play.at(0.5)
    assert play.cluster.jobs[str(job)].state.value == state


def test_a_job_that_takes_longer_than_planned_is_left_running(play: Play) -> None:
    """Its runs are over, but it is not."""
    job = play.scene.submit(**PAUSABLE)
    put_in_force(play.scene, runs("train", (0, 2)))
    play.at(0)
    play.at(2.5)
    assert play.cluster.jobs[str(job)].state is JobState.RUNNING


def test_a_missed_start_is_made_up_for_while_the_deadline_holds(play: Play) -> None:
    """Nobody dispatched in hours 2 to 4; at hour 10 there is time enough, for the other no more."""
    soon = play.scene.submit("soon", deadline_at=START + 11 * HOUR)
    late = play.scene.submit("late")
    put_in_force(play.scene, runs("soon", (2, 4)), runs("late", (2, 4)))
    play.at(10)
    assert play.cluster.starts == [str(late)]
    play.at(11)
    row = play.scene.job(soon)
    assert row.status is JobStatus.EXPIRED
    assert row.reason == "its deadline passed before it was started"


def test_without_a_plan_a_job_starts_at_its_latest_safe_start(play: Play) -> None:
    """Two hours of work due at hour 24: at hour 22 at the latest, a little earlier to be safe."""
    job = play.scene.submit()
    play.at(21.5)
    assert play.cluster.starts == []
    play.at(21.8)
    assert play.cluster.starts == [str(job)]


def test_a_job_no_plan_served_in_time_expires(play: Play) -> None:
    """Its latest safe start passed while nobody was there."""
    job = play.scene.submit()
    play.at(22.5)
    assert play.cluster.starts == []
    play.at(24)
    assert play.status(job) is JobStatus.EXPIRED


def test_gpus_in_use_are_waited_for(play: Play) -> None:
    """The other job overruns; the planned one starts at the tick after it ended."""
    eight = {"operating_points": [{"pool": "a100", "gpus": 8, "kw": 8.0}]}
    first = play.scene.submit("first", **eight)
    second = play.scene.submit("second", **eight)
    put_in_force(
        play.scene, runs("first", (0, 2), point="a100x8"), runs("second", (2, 4), point="a100x8")
    )
    play.at(0)
    play.at(2)
    play.at(2.1)
    assert play.cluster.starts == [str(first)]
    play.cluster.end(str(first))
    play.at(2.2)
    assert play.cluster.starts == [str(first), str(second)]


def test_no_more_gpus_are_taken_than_the_fleet_may_have(play: Play) -> None:
    """The cluster has sixteen, others use four, and eight of them are ours to use."""
    play.cluster.gpus, play.cluster.gpus_of_others = 16, 4
    six = {"operating_points": [{"pool": "a100", "gpus": 6, "kw": 6.0}]}
    first = play.scene.submit("first", **six)
    play.scene.submit("second", **six)
    put_in_force(
        play.scene, runs("first", (0, 2), point="a100x6"), runs("second", (2, 4), point="a100x6")
    )
    play.at(0)
    play.at(2)
    assert play.cluster.starts == [str(first)]


def test_a_clash_over_gpus_is_sent_again(play: Play) -> None:
    """The cluster says busy although it looked free: recorded as such, and retried."""
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (0, 2)))
    submit = play.cluster.submit

    async def busy(order: object) -> None:
        raise GpusBusy("somebody else was faster")

    play.cluster.submit = busy  # type: ignore[method-assign]
    play.at(0)
    assert play.status(job) is JobStatus.WAITING
    play.cluster.submit = submit  # type: ignore[method-assign]
    play.at(0.1)
    assert play.status(job) is JobStatus.RUNNING
    assert play.commands() == [
        (CommandKind.SUBMIT, CommandOutcome.BUSY),
        (CommandKind.SUBMIT, CommandOutcome.DONE),
    ]


def test_an_order_refused_for_good_fails_the_job_with_the_reason(play: Play) -> None:
    """The cluster has no pool of that name, whatever the fleet says."""
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (0, 2)))
    play.cluster.gpus = 0
    play.dispatcher.tick()

    async def lie() -> tuple[object, ...]:
        return (PoolCapacity("a100", 8, 8, 0),)

    play.cluster.capacity = lie  # type: ignore[method-assign, assignment]
    play.at(0)
    row = play.scene.job(job)
    assert row.status is JobStatus.FAILED
    assert row.reason.endswith("never")


def test_a_lost_answer_does_not_start_a_job_twice(play: Play) -> None:
    """The order arrived, the answer did not; the next tick finds it running."""
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (0, 2)))
    play.cluster.loses_answers = True
    play.at(0)
    row = play.scene.job(job)
    assert (row.status, row.site) == (JobStatus.WAITING, "DE")
    play.cluster.loses_answers = False
    play.at(0.1)
    play.at(0.2)
    assert play.cluster.starts == [str(job)]
    assert play.status(job) is JobStatus.RUNNING


def test_nothing_is_assumed_of_a_cluster_that_does_not_answer(play: Play) -> None:
    """Neither lost nor expired nor started: it waits until the cluster is heard of again."""
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (0, 2)))
    play.at(0)
    play.cluster.is_silent = True
    play.at(30)
    assert play.status(job) is JobStatus.RUNNING
    play.cluster.is_silent = False
    play.at(30.1)
    assert play.status(job) is JobStatus.RUNNING
    assert len(play.commands()) == 1


@pytest.mark.parametrize("is_queueing", [False, True])
def test_a_job_its_cluster_forgot_has_failed(play: Play, *, is_queueing: bool) -> None:
    """It is not started again: what it did is not known, nor whether it runs."""
    play.cluster.is_queueing = is_queueing
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (0, 2)))
    play.at(0)
    play.cluster.jobs.clear()
    play.at(0.5)
    row = play.scene.job(job)
    assert row.status is JobStatus.FAILED
    assert row.reason == "cluster DE does not know it any more"


def test_a_cluster_that_lost_its_memory_ends_no_job(play: Play) -> None:
    """Its volume is away: no job is known, all GPUs look free. When it is back, all goes on."""
    job = play.scene.submit()
    other = play.scene.submit("other")
    put_in_force(play.scene, runs("train", (0, 2)), runs("other", (1, 3)))
    play.at(0)
    known, play.cluster.jobs, play.cluster.memory = play.cluster.jobs, {}, "an empty folder"
    play.at(1)
    assert (play.status(job), play.status(other)) == (JobStatus.RUNNING, JobStatus.WAITING)
    assert play.dispatcher.tick().silent_sites == ("DE",)
    again = Dispatcher(play.scene.sessions, lambda _: play.outside, play.scene.now)
    assert again.tick().silent_sites == ("DE",)
    assert play.cluster.starts == [str(job)]
    play.cluster.jobs, play.cluster.memory = known, "cluster DE"
    play.at(1.5)
    assert play.cluster.starts == [str(job), str(other)]


def test_a_cluster_that_will_not_come_back_is_forgotten(play: Play) -> None:
    """An operator says so: the one that answers is taken, and what it does not know has failed."""
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (0, 2)))
    play.at(0)
    play.cluster.jobs, play.cluster.memory = {}, "a new disk"
    play.at(1)
    with transaction(play.scene.sessions) as session:
        assert forget(session, "DE") == "cluster DE"
        assert forget(session, "FR") is None
    play.at(1.1)
    assert play.status(job) is JobStatus.FAILED


def test_a_site_without_jobs_may_get_another_cluster(play: Play) -> None:
    """Nothing is in the old one's care; from then on the new one is known."""
    play.at(0)
    play.cluster.memory = "new"
    assert play.dispatcher.tick().silent_sites == ()
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (0, 2)))
    play.at(0.5)
    play.cluster.memory = "cluster DE"
    assert play.dispatcher.tick().silent_sites == ("DE",)
    assert play.status(job) is JobStatus.RUNNING


def test_a_cancelled_job_ends_on_its_cluster(play: Play) -> None:
    """The request is honoured at the next tick, the end seen at the one after."""
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (0, 2)))
    play.at(0)
    play.cancel()
    play.at(0.5)
    play.at(0.6)
    row = play.scene.job(job)
    assert (row.status, row.exit_code) == (JobStatus.CANCELLED, -15)
    assert [kind for kind, _ in play.commands()] == [CommandKind.SUBMIT, CommandKind.CANCEL]


def test_a_successor_starts_only_after_success(play: Play) -> None:
    """Planned from hour 2 on, but its predecessor takes until hour 3."""
    first = play.scene.submit("first")
    second = play.scene.submit("second", after=["first"])
    put_in_force(play.scene, runs("first", (0, 2)), runs("second", (2, 4)))
    play.at(0)
    play.at(2)
    assert play.cluster.starts == [str(first)]
    play.cluster.end(str(first))
    play.at(3)
    play.at(3.1)
    assert play.cluster.starts == [str(first), str(second)]


def test_gpus_and_batch_size_follow_the_plan(play: Play) -> None:
    """One GPU in hour 0, two from then on: paused, and at the next tick resumed on two."""
    points = [
        {"pool": "a100", "gpus": 1, "kw": 1.0},
        {"pool": "a100", "gpus": 2, "kw": 2.0, "speed": 2.0, "batch_size": 64},
    ]
    job = play.scene.submit(
        operating_points=points, is_elastic=True, work_hours=5.0, pausing={"restart_minutes": 0}
    )
    wide = "DE/a100x2/b64"
    put_in_force(play.scene, Placement("train", "DE", (Run("DE/a100x1", 0, 1), Run(wide, 1, 3))))
    play.at(0)
    play.at(1)
    play.at(1.01)
    play.at(1.02)
    there = play.cluster.jobs[str(job)]
    assert (there.state, there.gpus, there.starts) == (JobState.RUNNING, 2, 2)
    assert play.cluster.orders[str(job)].environment["GRIDTIDE_BATCH_SIZE"] == "64"
    play.at(2.02)
    row = play.scene.job(job)
    assert (row.status, row.point) == (JobStatus.RUNNING, "a100x2/b64")
    assert work_done_hours(row, job_spec(operating_points=points), play.scene.at) == (
        pytest.approx(1.01 + 2.0)
    )
    assert play.kinds() == [CommandKind.SUBMIT, CommandKind.SUSPEND, CommandKind.RESUME]


def test_batteries_are_told_once_a_slot(sessions: SessionFactory) -> None:
    """The plan charges in the cheap hours; without a plan the battery rests."""
    battery = {"power_kw": 2, "capacity_kwh": 4, "soc_initial_kwh": 1}
    scene = Scene(sessions).set_up(fleet_spec(site_spec(batteries=[battery], base_load_kw=3)))
    play = Play(scene, FakeCluster())
    told = FakeBattery("battery", scene.now)
    play.outside = Outside({"DE": FakeCluster()}, {("DE", "battery"): told})
    play.at(-0.5)
    play.at(-0.4)
    run_id = scene.queue()
    with transaction(sessions) as session:
        run = session.get_one(PlanningRun, run_id)
        run.status, run.lease_owner = RunStatus.RUNNING, "test"
        inputs = read_inputs(session, run, scene.now())
    made = inputs.assemble()
    assert made.problem.sites[0].storage[0].soc_initial_kwh == 1.0
    plan = solve(made.problem, SolveLimits(10))
    document = make_document(inputs.fleet, made, plan, plan, scene.now())
    with transaction(sessions) as session:
        reviewed = review(document, read_in_force(session))
        stored = store_result(session, Lease(run_id, "test"), document, reviewed, 1, scene.now())
    scene.approve(stored.id)
    for hour in range(24):
        play.at(hour)
        play.at(hour + 0.5)
    assert told.told[0] == (START - 0.5 * HOUR, 0.0)
    flows = plan.flows[0]
    expected = [c - d for c, d in zip(flows.charge_kw[0], flows.discharge_kw[0], strict=True)]
    assert [power for _, power in told.told[1:]] == pytest.approx(expected)
    assert max(expected) > 0
    assert play.dispatcher.tick().silent_sites == ()


def test_until_a_new_plan_begins_the_old_one_goes_on(play: Play) -> None:
    """Approved at hour 0 for hours 6 to 30: at hour 2 the superseded plan still starts its job."""
    job = play.scene.submit()
    put_in_force(play.scene, runs("train", (2, 4)))
    other = play.scene.submit("other", deadline_at=START + 30 * HOUR)
    put_in_force(play.scene, runs("other", (1, 3)), start_h=6, key="tomorrow")
    play.at(2)
    assert play.cluster.starts == [str(job)]
    play.at(7)
    assert play.cluster.starts == [str(job), str(other)]
