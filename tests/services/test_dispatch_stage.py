"""Decisions about the data of one job that waits, without a database or a cluster."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from connectors.types import JobObservation, JobState
from scheduler.db.models import CommandKind, JobStatus
from scheduler.services.dispatch_decide import decide
from scheduler.services.dispatch_types import (
    NOTHING,
    Decision,
    JobSnapshot,
    Situation,
    TransferSnapshot,
)
from scheduler.services.dispatch_wants import Aim, Want
from scheduler.specs.fleet import LinkSpec
from tests.services.builders import START, job_spec

HOUR = timedelta(hours=1)
KEY = UUID(int=7)
DATA: dict[str, Any] = {"site": "DE", "size_gb": 20.0, "command": ["rsync"], "retries": 2}
STAGE, PAUSE, SUBMIT = CommandKind.STAGE, CommandKind.STAGE_PAUSE, CommandKind.SUBMIT


def waiting(
    transfers: dict[str, TransferSnapshot] | None = None,
    *,
    ready: bool = True,
    site: str | None = None,
    **changes: Any,
) -> JobSnapshot:
    """Two hours of work due at hour 24, on 20 GB that lie at DE."""
    spec = job_spec(**{"command": ["true"], "data": DATA} | changes)
    status = JobStatus.WAITING
    return JobSnapshot(
        KEY, spec, status, site, None, False, ready, spec.work_hours, transfers=transfers or {}
    )


def situation(hours: float, *silent: str, gpus: int = 8) -> Situation:
    """So many hours from START; links lead from DE to FR at 10 GB/h and to NO at 5 GB/h."""
    sites = ("DE", "FR", "NO")
    free = {(site, "a100"): gpus for site in sites if site not in silent}
    links = {
        ("DE", to): LinkSpec(from_site="DE", to_site=to, gb_per_hour=rate, eur_per_gb=0.1)
        for to, rate in (("FR", 10.0), ("NO", 5.0))
    }
    return Situation(START + hours * HOUR, sites, free, links)


def moved(
    status: JobStatus = JobStatus.SUCCEEDED,
    failures: int = 0,
    starts: int = 1,
    *,
    is_known: bool = True,
) -> TransferSnapshot:
    """A transfer that stands so since START."""
    return TransferSnapshot(status, is_known, starts, failures, START, "exit code 23")


def want(aim: Aim, site: str = "FR") -> Want:
    """What the plan wants."""
    return Want(aim, site, "a100x1", START + timedelta(hours=24))


def told(decision: Decision) -> list[tuple[CommandKind, str]]:
    """Commands and where they go."""
    return [(command.kind, command.site) for command in decision.commands]


def test_data_is_moved_when_the_plan_begins_to_and_not_before() -> None:
    """It is an order for no GPU, with a key of its own, into the folder the job will see."""
    assert decide(waiting(), want(Aim.WAIT), None, situation(1)) == NOTHING
    decision = decide(waiting(), want(Aim.STAGE), None, situation(1, gpus=0))
    assert told(decision) == [(STAGE, "FR")]
    order = decision.commands[0].order
    assert order is not None
    assert (order.key, order.gpus, order.data) == (f"data-{KEY}-FR", 0, str(KEY))
    assert (order.command, order.pool, order.after_starts) == (("rsync",), "a100", None)
    assert order.environment == {
        "GRIDTIDE_JOB": "train",
        "GRIDTIDE_DATA_SITE": "DE",
        "GRIDTIDE_DATA_SIZE_GB": "20",
    }


def test_data_is_not_moved_before_the_job_is_released() -> None:
    """It may not be there yet; predecessors are not waited for, they do not make it."""
    early = waiting(release_at=START + 2 * HOUR)
    assert decide(early, want(Aim.STAGE), None, situation(1)) == NOTHING
    behind = waiting(ready=False, after=["first"])
    assert told(decide(behind, want(Aim.STAGE), None, situation(1))) == [(STAGE, "FR")]


@pytest.mark.parametrize("aim", [Aim.STAGE, Aim.RUN])
@pytest.mark.parametrize("status", [JobStatus.QUEUED, JobStatus.RUNNING])
def test_a_transfer_under_way_is_waited_for(aim: Aim, status: JobStatus) -> None:
    """However late it is: neither a second one nor the job without its data."""
    job = waiting({"FR": moved(status)})
    assert decide(job, want(aim), None, situation(5)) == NOTHING


def test_the_job_is_started_once_its_data_is_there_and_the_plan_has_it_run() -> None:
    """With the folder its transfer filled."""
    job = waiting({"FR": moved()})
    assert decide(job, want(Aim.STAGE), None, situation(1)) == NOTHING
    decision = decide(job, want(Aim.RUN), None, situation(2))
    assert told(decision) == [(SUBMIT, "FR")]
    order = decision.commands[0].order
    assert order is not None
    assert (order.key, order.data) == (str(KEY), str(KEY))
    assert order.environment["GRIDTIDE_DATA_SITE"] == "DE"


def test_where_its_data_lies_nothing_is_moved() -> None:
    """It is told the path its data has there."""
    job = waiting(data=DATA | {"path": "/data/corpus"})
    decision = decide(job, want(Aim.RUN, "DE"), None, situation(1))
    assert told(decision) == [(SUBMIT, "DE")]
    order = decision.commands[0].order
    assert order is not None
    assert order.data is None
    assert order.environment["GRIDTIDE_DATA_DIR"] == "/data/corpus"


def test_data_that_says_no_command_is_left_to_the_job() -> None:
    """It is started as planned, and nothing is moved for it."""
    job = waiting(data={"site": "DE", "size_gb": 20.0})
    assert decide(job, want(Aim.STAGE), None, situation(1)) == NOTHING
    assert told(decide(job, want(Aim.RUN), None, situation(1))) == [(SUBMIT, "FR")]


def test_an_order_nobody_knows_of_is_given_again() -> None:
    """It was recorded, and perhaps lost; its key makes it one transfer."""
    job = waiting({"FR": moved(JobStatus.WAITING, starts=0, is_known=False)})
    (command,) = decide(job, want(Aim.RUN), None, situation(1)).commands
    assert command.order is not None
    assert (command.kind, command.order.after_starts) == (STAGE, None)


def test_a_transfer_that_failed_is_tried_again_a_little_later_each_time() -> None:
    """One minute after the first failure, two after the second; then the job has failed."""
    once = waiting({"FR": moved(JobStatus.FAILED, 1, 1)})
    assert decide(once, want(Aim.STAGE), None, situation(0.9 / 60)) == NOTHING
    (command,) = decide(once, want(Aim.STAGE), None, situation(1 / 60)).commands
    assert command.order is not None
    assert (command.kind, command.order.after_starts) == (STAGE, 1)
    twice = waiting({"FR": moved(JobStatus.FAILED, 2, 2)})
    assert decide(twice, want(Aim.STAGE), None, situation(1 / 60)) == NOTHING
    assert told(decide(twice, want(Aim.STAGE), None, situation(2 / 60))) == [(STAGE, "FR")]
    ending = decide(
        waiting({"FR": moved(JobStatus.FAILED, 3, 3)}), want(Aim.STAGE), None, situation(1)
    ).ending
    assert ending is not None
    assert ending.status is JobStatus.FAILED
    assert ending.reason == "its data could not be brought to FR: exit code 23"


@pytest.mark.parametrize(
    "transfer", [moved(JobStatus.FAILED, starts=0), moved(JobStatus.CANCELLED)]
)
def test_a_transfer_refused_or_cancelled_by_somebody_is_not_tried_again(
    transfer: TransferSnapshot,
) -> None:
    """The job has failed, whatever retries are left."""
    ending = decide(waiting({"FR": transfer}), want(Aim.RUN), None, situation(1)).ending
    assert ending is not None
    assert ending.status is JobStatus.FAILED


def test_a_job_that_is_to_run_elsewhere_now_has_its_transfer_paused() -> None:
    """The other one begins in its time; if the plan thinks better of it, the first goes on."""
    job = waiting({"FR": moved(JobStatus.RUNNING)})
    assert told(decide(job, want(Aim.WAIT, "NO"), None, situation(1))) == [(PAUSE, "FR")]
    both = [(PAUSE, "FR"), (STAGE, "NO")]
    assert told(decide(job, want(Aim.STAGE, "NO"), None, situation(1))) == both
    assert told(decide(job, want(Aim.RUN, "DE"), None, situation(1))) == [
        (PAUSE, "FR"),
        (SUBMIT, "DE"),
    ]
    paused = waiting({"FR": moved(JobStatus.SUSPENDED), "NO": moved(JobStatus.RUNNING)})
    decision = decide(paused, want(Aim.STAGE), None, situation(1))
    assert told(decision) == [(PAUSE, "NO"), (STAGE, "FR")]
    assert decision.commands[1].order is not None
    assert decision.commands[1].order.after_starts == 1


def test_nothing_is_said_about_data_to_a_cluster_that_does_not_answer() -> None:
    """Neither to bring it nor to stop."""
    assert decide(waiting(), want(Aim.STAGE), None, situation(1, "FR")) == NOTHING
    job = waiting({"FR": moved(JobStatus.RUNNING)})
    assert decide(job, want(Aim.WAIT, "NO"), None, situation(1, "FR")) == NOTHING


def test_a_start_that_was_missed_is_made_up_for_data_first() -> None:
    """As long as the deadline can be met: two hours of work due at hour 24."""
    assert told(decide(waiting(), want(Aim.OVER), None, situation(21))) == [(STAGE, "FR")]
    assert decide(waiting(), want(Aim.OVER), None, situation(22.5)) == NOTHING
    there = waiting({"FR": moved()})
    assert told(decide(there, want(Aim.OVER), None, situation(21))) == [(SUBMIT, "FR")]


def test_without_a_plan_a_job_is_started_where_its_data_is() -> None:
    """At its own site, or where it was brought to; nothing is moved."""
    assert told(decide(waiting(), None, None, situation(22))) == [(SUBMIT, "DE")]
    there = waiting({"NO": moved()}, sites=["FR", "NO"])
    assert told(decide(there, None, None, situation(22))) == [(SUBMIT, "NO")]


def test_without_a_plan_data_moves_in_time_over_the_fastest_link() -> None:
    """20 GB at 10 GB/h, a quarter of an hour to be safe, two hours of work, due at hour 24."""
    away = waiting(sites=["NO", "FR"])
    assert decide(away, None, None, situation(19.7)) == NOTHING
    assert told(decide(away, None, None, situation(19.75))) == [(STAGE, "FR")]
    begun = waiting({"NO": moved(JobStatus.RUNNING)}, sites=["NO", "FR"])
    assert decide(begun, None, None, situation(19.75)) == NOTHING


def test_a_job_that_was_handed_over_moves_no_data() -> None:
    """Its order may be on its way; its data was there before."""
    handed = waiting({"FR": moved()}, site="FR")
    assert told(decide(handed, want(Aim.RUN, "NO"), None, situation(1))) == [(SUBMIT, "FR")]


def test_a_job_that_was_handed_over_has_lost_data_brought_there_again() -> None:
    """Nowhere else, with a plan or without: it can be started there alone."""
    handed = waiting({"FR": moved(JobStatus.WAITING, starts=0, is_known=False)}, site="FR")
    for planned in (want(Aim.RUN), want(Aim.STAGE, "NO"), want(Aim.OVER, "NO")):
        assert told(decide(handed, planned, None, situation(1))) == [(STAGE, "FR")]
    assert decide(handed, want(Aim.WAIT), None, situation(1)) == NOTHING
    assert told(decide(handed, None, None, situation(19.75))) == [(STAGE, "FR")]
    moving = waiting({"NO": moved(JobStatus.RUNNING)}, site="FR")
    told_both = told(decide(moving, want(Aim.STAGE, "NO"), None, situation(1)))
    assert told_both == [(PAUSE, "NO"), (STAGE, "FR")]


def test_no_data_is_moved_for_a_job_that_is_called_off() -> None:
    """At its deadline it expires."""
    ending = decide(waiting(), want(Aim.STAGE), None, situation(24)).ending
    assert ending is not None
    assert ending.status is JobStatus.EXPIRED


def test_a_job_that_was_paused_finds_its_data_where_it_was() -> None:
    """The order to go on names it again."""
    spec = job_spec(command=["true"], data=DATA, pausing={})
    job = JobSnapshot(KEY, spec, JobStatus.SUSPENDED, "FR", "a100x1", False, True, 1.0, starts=1)
    seen = JobObservation(str(KEY), JobState.SUSPENDED, "a100", 0, None, None, None, None, 1)
    (command,) = decide(job, want(Aim.RUN), seen, situation(3)).commands
    assert command.order is not None
    assert (command.kind, command.order.data) == (CommandKind.RESUME, str(KEY))
