"""Decisions about one job, without a database or a cluster."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from connectors.types import JobObservation, JobState
from scheduler.db.models import CommandKind, JobStatus
from scheduler.services.dispatch_decide import decide
from scheduler.services.dispatch_orders import transfer_order
from scheduler.services.dispatch_types import (
    NOTHING,
    Command,
    Decision,
    JobSnapshot,
    Situation,
    latest_safe_start,
)
from scheduler.services.dispatch_wants import Aim, Want
from scheduler.specs.job import DataSpec
from tests.services.builders import START, job_spec

KEY = UUID(int=7)
PAUSABLE: dict[str, Any] = {"pausing": {}}


def snapshot(
    status: JobStatus = JobStatus.WAITING,
    site: str | None = None,
    *,
    ready: bool = True,
    cancel: bool = False,
    **changes: Any,
) -> JobSnapshot:
    """Two hours of work due at hour 24."""
    spec = job_spec(command=["true"], **changes)
    return JobSnapshot(
        KEY,
        spec,
        status,
        site,
        "a100x1",
        cancel,
        ready,
        spec.work_hours,
        starts=int(status in {JobStatus.RUNNING, JobStatus.SUSPENDED}),
    )


def situation(hours: float, **free: int) -> Situation:
    """So many hours from START, with these GPUs free at each site; eight at DE unless given."""
    free_gpus = {(site, "a100"): gpus for site, gpus in (free or {"DE": 8}).items()}
    return Situation(START + timedelta(hours=hours), ("DE", "FR"), free_gpus)


def want(aim: Aim, site: str = "DE", point: str = "a100x1", until: float = 24.0) -> Want:
    """What the plan wants, in a run that ends so many hours from START."""
    return Want(aim, site, point, START + timedelta(hours=until))


def seen(
    state: JobState = JobState.RUNNING, cap: float | None = None, gpus: int = 1
) -> JobObservation:
    """What the cluster says."""
    return JobObservation(str(KEY), state, "a100", gpus, cap, None, None, None, 1)


def kinds(decision: Decision) -> list[tuple[CommandKind, str]]:
    """Commands and where they go."""
    return [(command.kind, command.site) for command in decision.commands]


def test_nothing_is_started_before_its_release_or_its_predecessors() -> None:
    """Whatever the plan says."""
    early = snapshot(release_at=START + timedelta(hours=2))
    assert decide(early, want(Aim.RUN), None, situation(1)) == NOTHING
    behind = snapshot(ready=False, after=["first"])
    assert decide(behind, want(Aim.RUN), None, situation(1)) == NOTHING


@pytest.mark.parametrize("aim", [Aim.WAIT, Aim.PAUSE])
def test_a_queued_job_leaves_the_queue_when_the_plan_wants_it_later(aim: Aim) -> None:
    """If it may be paused. Else it is left there: it may be started at that very moment."""
    queued = snapshot(JobStatus.QUEUED, "DE", **PAUSABLE)
    decision = decide(queued, want(aim), seen(JobState.QUEUED), situation(1))
    assert kinds(decision) == [(CommandKind.SUSPEND, "DE")]
    contiguous = snapshot(JobStatus.QUEUED, "DE")
    assert decide(contiguous, want(aim), seen(JobState.QUEUED), situation(1)) == NOTHING


def test_a_queued_job_is_left_to_its_cluster_while_it_may_run() -> None:
    """Also where the plan has nothing to say, or thought it would be done by now."""
    queued = snapshot(JobStatus.QUEUED, "DE")
    for aim in (want(Aim.RUN), want(Aim.OVER), None):
        assert decide(queued, aim, seen(JobState.QUEUED), situation(1)) == NOTHING


def test_a_queued_job_that_is_wanted_otherwise_leaves_the_queue() -> None:
    """Other GPUs take another order; another cap is told it where it stands."""
    points = [
        {"pool": "a100", "gpus": 1, "kw": 1.0},
        {"pool": "a100", "gpus": 2, "kw": 2.0},
        {"pool": "a100", "gpus": 1, "kw": 0.5, "power_cap_w": 200.0},
    ]
    queued = snapshot(JobStatus.QUEUED, "DE", operating_points=points, **PAUSABLE)
    larger = decide(queued, want(Aim.RUN, point="a100x2"), seen(JobState.QUEUED), situation(1))
    capped = decide(queued, want(Aim.RUN, point="a100x1@200W"), seen(JobState.QUEUED), situation(1))
    assert kinds(larger) == [(CommandKind.SUSPEND, "DE")]
    assert kinds(capped) == [(CommandKind.POWER_CAP, "DE")]


@pytest.mark.parametrize("status", [JobStatus.QUEUED, JobStatus.SUSPENDED])
def test_what_was_never_started_is_called_off_at_its_deadline(status: JobStatus) -> None:
    """In the queue or taken out of it."""
    late = replace(snapshot(status, "DE"), starts=0)
    decision = decide(late, want(Aim.RUN), seen(JobState.QUEUED), situation(24))
    assert kinds(decision) == [(CommandKind.CANCEL, "DE")]


def test_what_left_the_queue_goes_back_when_the_plan_wants_it() -> None:
    """Not before, although a job that cannot pause and had begun would go on at once."""
    out = replace(snapshot(JobStatus.SUSPENDED, "DE"), starts=0)
    paused = seen(JobState.SUSPENDED, gpus=0)
    assert decide(out, want(Aim.WAIT), paused, situation(1)) == NOTHING
    assert kinds(decide(out, want(Aim.RUN), paused, situation(1))) == [(CommandKind.RESUME, "DE")]


def test_a_job_that_waited_for_another_until_its_deadline_says_so() -> None:
    """It names whom."""
    behind = snapshot(ready=False, after=["first"])
    ending = decide(behind, want(Aim.RUN), None, situation(24)).ending
    assert ending is not None
    assert ending.status is JobStatus.EXPIRED
    assert ending.reason.endswith("before it was started, waiting for first")


def test_where_the_plan_wants_it_there_must_be_gpus_now() -> None:
    """Not free, or the cluster silent: not yet."""
    assert decide(snapshot(), want(Aim.RUN), None, situation(1, DE=0, FR=8)) == NOTHING
    assert decide(snapshot(), want(Aim.RUN), None, situation(1, FR=8)) == NOTHING


def test_a_job_handed_to_a_site_is_never_sent_to_another() -> None:
    """The new plan wants FR; what became of the order at DE is not known."""
    handed = snapshot(site="DE")
    assert kinds(decide(handed, want(Aim.RUN, "FR"), None, situation(1, DE=8, FR=8))) == [
        (CommandKind.SUBMIT, "DE")
    ]


def test_without_a_plan_it_starts_where_its_data_is_if_gpus_are_free() -> None:
    """Else at the first site where they are."""
    at_fr = snapshot(data={"site": "FR", "size_gb": 1})
    late = 21.9
    assert kinds(decide(at_fr, None, None, situation(late, DE=8, FR=8))) == [
        (CommandKind.SUBMIT, "FR")
    ]
    assert kinds(decide(at_fr, None, None, situation(late, DE=8, FR=0))) == [
        (CommandKind.SUBMIT, "DE")
    ]
    assert decide(at_fr, None, None, situation(late, DE=0, FR=0)) == NOTHING
    only_fr = snapshot(sites=["FR"])
    assert decide(only_fr, None, None, situation(late, DE=8)) == NOTHING


def test_the_fastest_point_counts_for_the_latest_safe_start() -> None:
    """Two hours of work at double speed: one hour before the deadline, at that point."""
    points = [
        {"pool": "a100", "gpus": 1, "kw": 1.0},
        {"pool": "a100", "gpus": 2, "kw": 2.0, "speed": 2.0, "batch_size": 64},
    ]
    job = snapshot(operating_points=points)
    assert latest_safe_start(job) == START + timedelta(hours=23)
    assert decide(job, None, None, situation(22.5)) == NOTHING
    (command,) = decide(job, None, None, situation(22.8)).commands
    assert command.order is not None
    assert (command.order.gpus, command.point) == (2, "a100x2/b64")
    assert command.order.environment == {
        "GRIDTIDE_JOB": "train",
        "GRIDTIDE_CRASHES": "0",
        "GRIDTIDE_BATCH_SIZE": "64",
    }


def test_a_task_of_an_array_is_told_which_it_is() -> None:
    """Under our names and Slurm's, whatever the job itself says; its data command as well."""
    task = {"array": "a", "index": 3, "first": 0, "last": 9, "step": 3, "count": 4}
    mine = {"A": "b", "SLURM_ARRAY_TASK_ID": "mine"}
    job = replace(snapshot(), spec=job_spec("a-3", array_task=task, environment=mine))
    (command,) = decide(job, None, None, situation(21.9)).commands
    assert command.order is not None
    told = command.order.environment
    assert told["A"] == "b"
    assert (told["SLURM_ARRAY_TASK_ID"], told["GRIDTIDE_ARRAY_INDEX"]) == ("3", "3")
    assert (told["SLURM_ARRAY_TASK_MAX"], told["GRIDTIDE_ARRAY_COUNT"]) == ("9", "4")
    data = DataSpec(site="FR", size_gb=1, command=("rsync",))
    assert transfer_order(job, data, "DE", "a100", None).environment["GRIDTIDE_ARRAY_INDEX"] == "3"


def test_of_many_predecessors_some_are_named() -> None:
    """An array may have a thousand tasks."""
    after = [f"a-{n}" for n in range(7)]
    job = snapshot(after=after, ready=False)
    ending = decide(job, None, None, situation(25)).ending
    assert ending is not None
    assert ending.reason.endswith("waiting for a-0, a-1, a-2, a-3, a-4 and 2 others")


@pytest.mark.parametrize(
    ("aim", "hours", "resumes"),
    [
        (Aim.RUN, 1, True),
        (Aim.OVER, 1, True),
        (Aim.PAUSE, 1, False),
        (Aim.WAIT, 1, False),
        (None, 1, False),
        (None, 21.8, True),
        (None, 30, True),
    ],
)
def test_a_paused_job_goes_on_when_planned_or_when_it_must(
    aim: Aim | None, hours: float, *, resumes: bool
) -> None:
    """Without a plan at its latest safe start, and after it too: what was begun is finished."""
    paused = snapshot(JobStatus.SUSPENDED, "DE", **PAUSABLE)
    decided = decide(
        paused, None if aim is None else want(aim), seen(JobState.SUSPENDED), situation(hours)
    )
    assert kinds(decided) == ([(CommandKind.RESUME, "DE")] if resumes else [])


def test_a_paused_job_is_not_resumed_for_a_run_in_which_it_only_restarts() -> None:
    """Its GPUs came free too late: it would be paused again before anything is done."""
    pausing = {"pausing": {"min_run_minutes": 60.0, "restart_minutes": 15.0}}
    paused = snapshot(JobStatus.SUSPENDED, "DE", **pausing)
    observed, at_two = seen(JobState.SUSPENDED, gpus=0), want(Aim.RUN, until=2.0)
    assert decide(paused, at_two, observed, situation(1.75)) == NOTHING
    assert kinds(decide(paused, at_two, observed, situation(1.7))) == [(CommandKind.RESUME, "DE")]
    never_began = replace(paused, starts=0)
    assert kinds(decide(never_began, at_two, observed, situation(1.75)))
    frozen = snapshot(JobStatus.SUSPENDED, "DE", **pausing, suspend_by="freeze")
    assert kinds(decide(frozen, at_two, observed, situation(1.75)))


def test_a_job_that_missed_its_first_run_waits_for_the_next() -> None:
    """Started in a planned pause, it would be paused at once, and restarted for nothing."""
    waiting = snapshot(**PAUSABLE)
    assert decide(waiting, want(Aim.PAUSE), None, situation(1)) == NOTHING
    assert kinds(decide(waiting, want(Aim.RUN), None, situation(1))) == [(CommandKind.SUBMIT, "DE")]
    assert kinds(decide(waiting, want(Aim.OVER), None, situation(1))) == [
        (CommandKind.SUBMIT, "DE")
    ]


def test_a_contiguous_job_that_somebody_stopped_goes_on() -> None:
    """At once, plan or not."""
    stopped = snapshot(JobStatus.SUSPENDED, "DE")
    assert kinds(decide(stopped, None, seen(JobState.SUSPENDED), situation(1))) == [
        (CommandKind.RESUME, "DE")
    ]


POINTS = [
    {"pool": "a100", "gpus": 1, "kw": 1.0},
    {"pool": "a100", "gpus": 2, "kw": 2.0, "speed": 2.0},
    {"pool": "a100", "gpus": 1, "kw": 1.0, "speed": 1.2, "batch_size": 64},
]


def test_a_cap_is_lifted_as_well_as_set() -> None:
    """The plan's point has no cap."""
    job = snapshot(JobStatus.RUNNING, "DE", operating_points=POINTS)
    lifted = decide(job, want(Aim.RUN), seen(cap=200.0), situation(1))
    assert lifted.commands == (
        Command(CommandKind.POWER_CAP, "DE", KEY, "a100x1", power_cap_w=None),
    )
    assert decide(job, want(Aim.RUN), seen(), situation(1)) == NOTHING


@pytest.mark.parametrize("point", ["a100x2", "a100x1/b64"])
def test_for_other_gpus_or_another_batch_size_an_elastic_job_is_paused(point: str) -> None:
    """And goes on so: another process, told what the plan says."""
    how: dict[str, Any] = {"operating_points": POINTS, "is_elastic": True, **PAUSABLE}
    job = snapshot(JobStatus.RUNNING, "DE", **how)
    wanted = want(Aim.RUN, point=point)
    assert kinds(decide(job, wanted, seen(), situation(1))) == [(CommandKind.SUSPEND, "DE")]
    paused = snapshot(JobStatus.SUSPENDED, "DE", **how)
    (command,) = decide(paused, wanted, seen(JobState.SUSPENDED, gpus=0), situation(1)).commands
    assert (command.kind, command.point) == (CommandKind.RESUME, point)
    assert command.order is not None
    assert command.order.gpus == (2 if point == "a100x2" else 1)
    about = {"GRIDTIDE_JOB": "train", "GRIDTIDE_CRASHES": "0"}
    batch = {"GRIDTIDE_BATCH_SIZE": "64"} if point == "a100x1/b64" else {}
    assert command.order.environment == about | batch
    assert command.gpus_to_take == ("a100", command.order.gpus)


@pytest.mark.parametrize(
    "how",
    [
        {"is_elastic": False, **PAUSABLE},
        {"is_elastic": True},
        {"is_elastic": True, "suspend_by": "freeze", **PAUSABLE},
    ],
)
def test_no_other_job_is_paused_for_another_point(how: dict[str, Any]) -> None:
    """One that keeps its point, one that cannot pause, one that would stay in memory."""
    job = snapshot(JobStatus.RUNNING, "DE", operating_points=POINTS, **how)
    assert decide(job, want(Aim.RUN, point="a100x2"), seen(), situation(1)) == NOTHING


def test_an_elastic_job_runs_on_until_there_are_gpus_for_more() -> None:
    """It has one and wants two: with one more free it is paused."""
    job = snapshot(JobStatus.RUNNING, "DE", operating_points=POINTS, is_elastic=True, **PAUSABLE)
    wanted = want(Aim.RUN, point="a100x2")
    assert decide(job, wanted, seen(), situation(1, DE=0)) == NOTHING
    assert decide(job, wanted, seen(), situation(1, DE=1)).commands != ()


def test_a_frozen_job_goes_on_as_it_was() -> None:
    """Its GPUs are held, and its process is the same; its cap may change."""
    points = [*POINTS, {"pool": "a100", "gpus": 1, "kw": 0.6, "speed": 0.7, "power_cap_w": 200}]
    paused = snapshot(
        JobStatus.SUSPENDED, "DE", operating_points=points, suspend_by="freeze", **PAUSABLE
    )
    for point, goes_on_at in (("a100x2", "a100x1"), ("a100x1@200W", "a100x1@200W")):
        decided = decide(
            paused, want(Aim.RUN, point=point), seen(JobState.SUSPENDED), situation(1, DE=0)
        )
        (command,) = decided.commands
        assert (command.point, command.gpus_to_take) == (goes_on_at, ("a100", 0))


def test_a_cancelled_job_no_cluster_has_is_over_at_once() -> None:
    """One that a cluster has is cancelled there."""
    ending = decide(snapshot(cancel=True, site="DE"), None, None, situation(1)).ending
    assert ending is not None
    assert ending.status is JobStatus.CANCELLED
    there = snapshot(JobStatus.RUNNING, "DE", cancel=True)
    assert kinds(decide(there, None, seen(), situation(1))) == [(CommandKind.CANCEL, "DE")]


def test_an_instant_is_an_instant() -> None:
    """The deadline itself is too late."""
    at: datetime = START + timedelta(hours=24)
    assert situation(24).now == at
    assert decide(snapshot(), want(Aim.RUN), None, situation(24)).commands == ()
