"""GPUs that fail in a replay: who is struck, what is lost, and that it still adds up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.types import GridEventNotice, Window
from scheduler.backtest.accounts import Account, account_of
from scheduler.backtest.struck import struck
from scheduler.backtest.truth import told, true_problem
from scheduler.backtest.world import Call, Failure, JobInWorld, PastLoss, Scene, TrueJob
from scheduler.db.models import JobStatus
from tests.backtest.small import (
    GPUS,
    HOURS,
    as_if_known,
    fleet,
    job,
    played,
    policy,
    scene,
    some_jobs,
    truth,
)
from tests.services.builders import START


def failure(from_hour: float, to_hour: float, site: str = "DE", **changes: int) -> Failure:
    """Return a failure of a whole pool of the small fleet."""
    start, end = (START + timedelta(hours=hour) for hour in (from_hour, to_hour))
    return Failure(site, "a100", changes.get("gpus", GPUS), start, end, changes.get("first_gpu", 0))


def at_once(name: str, site: str = "DE", **changes: object) -> object:
    """Return a job that is to run at once: it is due as soon as it can be done."""
    return job(name, 4.0, sites=[site], deadline_at=START + timedelta(hours=12), **changes)


def without_slack(name: str, from_hour: int = 0) -> TrueJob:
    """Return a job of four hours at DE that is due four hours after it comes."""
    release = START + timedelta(hours=from_hour)
    due = release + timedelta(hours=4)
    return job(name, 4.0, sites=["DE"], release_at=release, deadline_at=due)


def with_failures(it: Scene, *failures: Failure, save_every_hours: float | None = None) -> Scene:
    """Return the scene in which GPUs fail."""
    return replace(it, failures=failures, save_every_hours=save_every_hours)


def accounted(it: Scene, signals_seed: int = 0) -> tuple[Account, tuple[PastLoss, ...]]:
    """Play a scene with a plan every three hours, and settle it."""
    signals = truth(signals_seed)
    state, past, _ = played(it, policy(as_if_known(signals), 3))
    whole = told(true_problem(it, signals), it, past, state.world)
    return account_of(whole), past.losses


def losses_of(name: str, save_every_hours: float | None, **changes: object) -> list[float]:
    """Play one job through a failure of both sites an hour and a half after it began."""
    day = scene([at_once(name, **changes)])  # type: ignore[list-item]
    signals = truth()
    state, past, _ = played(day, policy(as_if_known(signals), 3))
    (run, *_) = past.runs
    begun_h = (run.start_at - START) / timedelta(hours=1)
    struck = with_failures(
        day, failure(begun_h + 1.5, begun_h + 2.5), save_every_hours=save_every_hours
    )
    account, losses = accounted(struck)
    assert account.breaches == ()
    assert account.n_unfinished == 0
    assert state.world.jobs == ()
    return [loss.lost_hours for loss in losses]


def test_a_job_that_cannot_pause_begins_anew() -> None:
    """An hour and a half of it is done twice."""
    assert losses_of("whole", None) == pytest.approx([1.5])


def test_a_job_that_saves_each_hour_loses_what_it_did_since() -> None:
    """Half an hour."""
    assert losses_of("saves", 1.0, pausing={}) == pytest.approx([0.5])


def test_who_runs_on_other_gpus_is_not_struck() -> None:
    """Of two jobs the one that began first has the lowest numbers."""
    jobs = [without_slack("a"), without_slack("b")]
    day = with_failures(scene(jobs), failure(0.25, 5.0, gpus=3, first_gpu=1))
    signals = truth()
    _, past, _ = played(day, policy(as_if_known(signals), 3))
    assert {loss.job for loss in past.losses} == {"b"}
    account, _ = accounted(day)
    assert account.breaches == ()


def running(name: str, since_hour: int) -> JobInWorld:
    """Return a job that runs on one GPU at DE since then."""
    arrived = JobInWorld.arrived(job(name))
    point = arrived.true.spec.operating_points[0].name
    since = START + timedelta(hours=since_hour)
    return replace(
        arrived,
        status=JobStatus.RUNNING,
        site="DE",
        point=point,
        begun_at=since,
        running_since=since,
    )


@pytest.mark.parametrize(
    ("gone", "first_gpu", "names"),
    [
        (set(), 0, ["first"]),
        (set(), 1, ["second"]),
        (set(), 2, []),
        ({0}, 1, ["first"]),
        ({0}, 2, ["second"]),
        ({1}, 0, ["first"]),
        ({1}, 2, ["second"]),
    ],
)
def test_jobs_hold_the_lowest_gpus_that_are_there(
    gone: set[int], first_gpu: int, names: list[str]
) -> None:
    """Two of four are held; who holds the one that fails is struck, though others are spare."""
    jobs = [running("second", 2), running("first", 1)]
    begun = [failure(3, 4, gpus=1, first_gpu=first_gpu)]
    spare = {("DE", "a100"): 4 - len(jobs) - len(gone) - 1}
    hit = struck(jobs, begun, {("DE", "a100"): gone}, spare)
    assert [one.true.spec.name for one in hit] == names


def test_a_node_that_was_down_before_holds_no_job() -> None:
    """Of four GPUs the first is gone before the job begins, so it runs on the second."""
    day = scene([without_slack("a", 1)])
    down = failure(0.0, 23.0, gpus=1), failure(1.5, 23.0, gpus=1, first_gpu=1)
    _, losses = accounted(with_failures(day, *down))
    assert {loss.job for loss in losses} == {"a"}


def test_plans_know_of_gpus_that_are_gone_and_take_others() -> None:
    """What may run at two sites runs at the one that is left."""
    day = with_failures(scene([job("free", 3.0)]), failure(0.0, 23.0))
    signals = truth()
    _, past, _ = played(day, policy(as_if_known(signals), 3))
    assert {run.site for run in past.runs} == {"FR"}


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 1000),
    begins=st.lists(st.integers(0, 18), max_size=3),
    lasts=st.integers(1, 6),
    gpus=st.integers(1, GPUS),
    called=st.integers(0, 20),
)
@example(seed=2, begins=[1, 2, 3], lasts=4, gpus=GPUS, called=2)
def test_energy_money_and_carbon_add_up_in_any_replay(
    seed: int, begins: list[int], lasts: int, gpus: int, called: int
) -> None:
    """Whatever fails, is called for or takes longer than stated, no limit of the truth is broken.

    Bought + generated + discharged = used + charged + curtailed + sold, and what jobs and sites
    have of money and carbon is the whole, to 1e-9.
    """
    sites = ("DE", "FR")
    failures = [
        failure(begin, min(begin + lasts, HOURS - 1), sites[order % 2], gpus=gpus)
        for order, begin in enumerate(begins)
    ]
    window = Window(START + timedelta(hours=called), START + timedelta(hours=called + 2))
    call = Call(START + timedelta(hours=called - 1), GridEventNotice("c", "DE", window, 1.0, 0.5))
    day = scene(some_jobs(seed, 5, stated=(0.6, 1.6)))
    ordered = sorted(failures, key=lambda one: one.start_at)
    account, losses = accounted(replace(with_failures(day, *ordered), calls=(call,)), seed)
    assert account.worst_error < 1e-9
    assert account.breaches == ()
    assert all(loss.lost_hours >= -1e-9 for loss in losses)


def test_a_call_is_known_from_its_instant_on() -> None:
    """A plan made before does not keep to it; the next one does, and what is not kept is paid."""
    window = Window(START + timedelta(hours=9), START + timedelta(hours=12))
    call = Call(START + timedelta(hours=5), GridEventNotice("c", "FR", window, 0.0, 1.0))
    jobs = [job("long", 10.0, sites=["FR"], deadline_at=START + timedelta(hours=14))]
    day = replace(Scene.of(fleet(), jobs, START, START + timedelta(hours=HOURS)), calls=(call,))
    signals = truth()
    states = [state for state, *_ in _rounds(day, signals)]
    limits = [
        [limit.name for limit in state.in_force.problem.capacity_limits]
        for state in states
        if state.in_force is not None
    ]
    assert limits[0] == []
    assert limits[2] == ["c"]
    account, _ = accounted(day)
    assert account.terms.violations_eur > 0.0


def _rounds(day: Scene, signals: object) -> list[tuple]:  # type: ignore[type-arg]
    from scheduler.backtest.replay import play  # noqa: PLC0415

    return list(play(day, policy(as_if_known(signals), 3)))  # type: ignore[arg-type]
