"""Checkpoints that fail: a pause that lost work is told from one that saved, and not repeated."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import pytest

from connectors.types import JobState, SuspendBy
from scheduler.db.models import CommandKind, Job, JobStatus, Role
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import observations
from scheduler.services.jobs import cancel_job
from scheduler.services.keys import Caller
from scheduler.specs import JobSpec
from tests.services.builders import START, job_spec
from tests.services.fakes import FakeCluster
from tests.services.play import HOUR, Play, runs
from tests.services.scene import Scene, put_in_force
from tests.services.test_assemble_jobs import made, only, to_plan

PAUSING = {"min_run_minutes": 60}


@dataclass
class Paused:
    """A job that the plan has run for two hours and pause for two, from hour 0 on, three times."""

    play: Play
    job: UUID

    def row(self) -> Job:
        """Where it stands."""
        return self.play.scene.job(self.job)

    def pause(self, at_h: float, leaves_with: int | None) -> Job:
        """Have it paused at ``at_h`` hours, and leave with this exit code."""
        self.play.cluster.leaves_with = leaves_with
        self.play.at(at_h)
        self.play.at(at_h + 0.1)
        return self.row()

    def go_on(self, at_h: float) -> Job:
        """Have it resumed as planned."""
        self.play.at(at_h)
        self.play.at(at_h + 0.02)
        return self.row()

    def crash(self, at_h: float) -> Job:
        """Let it end with exit code 65, and see it so at ``at_h`` hours."""
        self.play.cluster.end(str(self.job), JobState.FAILED, 65)
        self.play.at(at_h)
        return self.row()


def begun(sessions: SessionFactory, retries: int = 0, **pausing: object) -> Paused:
    """Start the job."""
    play = Play(Scene(sessions).set_up(), FakeCluster())
    job = play.scene.submit(pausing=PAUSING | pausing, work_hours=12, retries=retries)
    put_in_force(play.scene, runs("train", (0, 2), (4, 6), (8, 10), (12, 18)))
    play.at(0)
    play.at(0.02)
    return Paused(play, job)


def failed_in_metrics(played: Paused) -> int:
    """How many jobs are counted as having failed checkpoints."""
    with transaction(played.play.scene.sessions) as session:
        return observations.observe(session, played.play.scene.now()).checkpoints_failed


@pytest.mark.parametrize("leaves_with", [0, 143, -15])
def test_a_job_that_saved_is_paused_and_keeps_what_it_did(
    sessions: SessionFactory, leaves_with: int
) -> None:
    """It left with 0, or left the signal to end it, as clusters tell that in two ways."""
    played = begun(sessions)
    row = played.pause(2, leaves_with)
    assert (row.status, row.failed_checkpoints, row.checkpoint_problem) == (
        JobStatus.SUSPENDED,
        0,
        "",
    )
    assert row.work_done_hours == row.work_saved_hours == pytest.approx(2.0, abs=0.2)
    assert failed_in_metrics(played) == 0


@pytest.mark.parametrize(
    ("leaves_with", "said"),
    [
        (137, "was killed in its grace"),
        (-9, "was killed in its grace"),
        (28, "left with exit code 28"),
    ],
)
def test_a_job_that_did_not_save_is_worth_what_it_was_at_its_last_good_pause(
    sessions: SessionFactory, leaves_with: int, said: str
) -> None:
    """Killed, or with an error of its own: what it did since then is planned for again."""
    played = begun(sessions)
    saved = played.pause(2, 0).work_done_hours
    played.go_on(4)
    row = played.pause(6, leaves_with)
    assert (row.status, row.failed_checkpoints) == (JobStatus.SUSPENDED, 1)
    assert row.work_done_hours == saved
    assert row.checkpoint_problem == f"checkpoint failed, 1 of 2: when it was paused it {said}"
    assert row.checkpoint_problem in row.reason
    assert failed_in_metrics(played) == 1


def test_what_nobody_saw_is_neither_good_nor_bad(sessions: SessionFactory) -> None:
    """Its node was lost or others preempted it: the time it ran counts, as it did."""
    row = begun(sessions).pause(2, None)
    assert (row.failed_checkpoints, row.work_saved_hours) == (0, 0.0)
    assert row.work_done_hours == pytest.approx(2.0, abs=0.2)


def test_a_job_says_itself_with_which_codes_it_has_saved(sessions: SessionFactory) -> None:
    """One of a launcher that leaves every signal with 1."""
    row = begun(sessions, saved_exit_codes=[0, 1]).pause(2, 1)
    assert row.failed_checkpoints == 0
    assert row.work_saved_hours == pytest.approx(2.0, abs=0.2)


def test_a_job_whose_checkpoints_failed_too_often_is_not_paused_any_more(
    sessions: SessionFactory,
) -> None:
    """The plan in force would have it paused a third time: it runs on."""
    played = begun(sessions)
    played.pause(2, 137)
    played.go_on(4)
    row = played.pause(6, 137)
    assert (row.failed_checkpoints, row.work_done_hours) == (2, 0.0)
    assert row.reason.endswith("it is not paused any more")
    played.go_on(8)
    row = played.pause(10, 137)
    assert (row.status, row.failed_checkpoints) == (JobStatus.RUNNING, 2)
    assert played.play.kinds().count(CommandKind.SUSPEND) == 2


def test_a_continuation_that_crashes_at_once_is_a_checkpoint_that_failed(
    sessions: SessionFactory,
) -> None:
    """It is retried within its budget, and told how often it crashed, so that it can go back."""
    played = begun(sessions, retries=1)
    played.pause(2, 0)
    played.go_on(4)
    row = played.crash(4.05)
    assert (row.status, row.crashes, row.failed_checkpoints) == (JobStatus.SUSPENDED, 1, 1)
    assert "retry 1 of 1" in row.reason
    assert "its continuation crashed at once" in row.reason
    played.play.at(4.06)
    order = played.play.cluster.orders[str(played.job)]
    assert (order.environment["GRIDTIDE_CRASHES"], order.after_starts) == ("1", 2)
    played.play.at(4.07)
    row = played.crash(4.08)
    assert (row.status, row.exit_code, row.failed_checkpoints) == (JobStatus.FAILED, 65, 2)
    assert "its continuation crashed at once" in row.reason


def test_what_useless_continuations_did_is_not_counted(sessions: SessionFactory) -> None:
    """Three crash, each within minutes of its start: it is worth what had been saved."""
    played = begun(sessions, retries=3)
    saved = played.pause(2, 0).work_saved_hours
    played.go_on(4)
    for crashes, at_h in ((1, 4.07), (2, 4.14), (3, 4.21)):
        row = played.crash(at_h)
        assert (row.crashes, row.failed_checkpoints, row.work_done_hours) == (
            crashes,
            crashes,
            saved,
        )
        played.play.at(at_h + 0.01)


def test_a_crash_that_is_known_is_not_counted_again(sessions: SessionFactory) -> None:
    """The plan has it wait to go on when it is cancelled."""
    played = begun(sessions, retries=1)
    played.pause(2, 0)
    played.go_on(5.95)
    assert played.crash(6.01).failed_checkpoints == 1
    with transaction(sessions) as session:
        cancel_job(session, "train", Caller("test", Role.ADMIN), played.play.scene.now())
    played.play.at(6.02)
    row = played.row()
    assert (row.status, row.failed_checkpoints) == (JobStatus.FAILED, 1)


def test_a_continuation_that_crashes_later_is_a_crash(sessions: SessionFactory) -> None:
    """It had read what was saved: that was no failure of its checkpoint."""
    played = begun(sessions, retries=1)
    played.pause(2, 0)
    played.go_on(4)
    row = played.crash(5)
    assert (row.status, row.crashes, row.failed_checkpoints) == (JobStatus.SUSPENDED, 1, 0)


def test_a_crash_of_a_first_run_is_no_checkpoint_s(sessions: SessionFactory) -> None:
    """Nothing had been saved."""
    row = begun(sessions, retries=1).crash(0.05)
    assert (row.crashes, row.failed_checkpoints) == (1, 0)


def spec(**changes: object) -> JobSpec:
    """A job that may pause."""
    return job_spec(pausing=PAUSING | changes)


def test_a_plan_does_not_pause_a_job_whose_checkpoints_failed_too_often() -> None:
    """No pause is left to it, the plan says why, and one that has begun keeps its GPUs."""
    points = [{"pool": "a100", "gpus": gpus, "kw": gpus, "speed": gpus} for gpus in (1, 2)]
    how = {"pausing": PAUSING, "is_elastic": True, "operating_points": points}
    stands = {"site": "DE", "point": "a100x1", "is_running": True, "had_started": True}
    one = only(made(to_plan(**how, **stands, failed_checkpoints=1)))
    assert (one.pausing.max_pauses, len(one.points)) == (None, 2)  # type: ignore[union-attr]
    assembled = made(to_plan(**how, **stands, failed_checkpoints=2))
    assert only(assembled).pausing.max_pauses == 0  # type: ignore[union-attr]
    assert [point.name for point in only(assembled).points] == ["DE/a100x1"]
    assert "job train: it is not paused any more, 2 of its checkpoints failed" in assembled.marks


def test_a_job_that_is_not_paused_any_more_has_its_gpus_to_the_end_of_the_window() -> None:
    """Nobody is to be promised them: dispatch lets it run on."""
    stands = {"site": "DE", "point": "a100x1", "is_running": True, "had_started": True}
    far = {"work_hours": 40.0, "deadline_at": START + 120 * HOUR}
    for how in ({"failed_checkpoints": 2}, {"pauses_made": 1}):
        one = only(made(to_plan(pausing=PAUSING | {"max_pauses": 1}, **far, **stands, **how)))
        assert one.pin is not None
        assert (one.pin.start_slot, one.pin.n_slots, one.work) == (0, 24, 24.0), how


def test_what_is_held_in_memory_has_no_checkpoint_to_fail() -> None:
    """However often."""
    frozen = job_spec(pausing=PAUSING, suspend_by=SuspendBy.FREEZE)
    assert frozen.may_be_paused(100)
    assert spec(max_failed_checkpoints=3).may_be_paused(2)
    assert not spec(max_failed_checkpoints=3).may_be_paused(3)
    assert not job_spec().may_be_paused(0)
