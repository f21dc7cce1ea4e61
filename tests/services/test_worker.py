"""The worker: a queued run becomes a stored plan, whatever happens on the way."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from sqlalchemy import create_engine, text, update
from sqlalchemy.orm import Session

from optimizer import Breach, OnProgress, Plan, Problem, Progress, greedy, verify
from scheduler.db.models import PlanningRun, PlanStatus, RunStatus
from scheduler.db.session import SessionFactory, make_engine, make_session_factory, transaction
from scheduler.services.planning_queue import Lease, succeed_run
from scheduler.services.runs import cancel_run
from scheduler.solving import Method, SolveTask, solve_exactly
from scheduler.worker import Worker, WorkerTiming
from tests.services.builders import START, fleet_spec
from tests.services.scene import Scene

TIMING = WorkerTiming(poll_s=0.05, renew_s=0.1, lease_s=20, overrun_factor=1, overrun_s=0)


@pytest.fixture
def sessions(sqlite_url: str) -> Iterator[SessionFactory]:
    """SQLite is enough here: what differs between databases is tested in test_planning_queue."""
    engine = make_engine(sqlite_url)
    yield make_session_factory(engine)
    engine.dispose()


@pytest.fixture
def scene(sessions: SessionFactory) -> Scene:
    """A fleet of one site."""
    return Scene(sessions).set_up()


def worker(
    scene: Scene, method: Method = solve_exactly, stop: threading.Event | None = None
) -> Worker:
    """A worker in a hurry."""
    return Worker(
        scene.sessions, scene.now, stop or threading.Event(), timing=TIMING, method=method
    )


def crash(task: SolveTask, on_progress: OnProgress) -> Plan:
    """A solver that takes its process down."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def fail(task: SolveTask, on_progress: OnProgress) -> Plan:
    """A solver that raises."""
    raise MemoryError("no room")


def wrong(task: SolveTask, on_progress: OnProgress) -> Plan:
    """A solver whose plan promises a lower cost than it has."""
    plan = greedy(task.problem)
    return Plan(
        plan.rung,
        plan.placements,
        plan.unserved,
        plan.flows,
        plan.terms,
        plan.violations,
        plan.objective - 5.0,
        None,
    )


def endless(task: SolveTask, on_progress: OnProgress) -> Plan:
    """A solver that never comes back, but says where it is."""
    while True:
        on_progress(Progress("solve", 1.0, best=12.0, bound=9.0))
        time.sleep(0.02)


def test_a_run_becomes_a_verified_plan_beside_its_baseline(scene: Scene) -> None:
    """Two hours of 1 kW go to the cheap hours; run now would have paid five times as much."""
    scene.submit()
    run = scene.run(scene.queue())
    worker(scene).work_once()
    run = scene.run(run.id)
    assert (run.status, run.attempts, run.error) == (RunStatus.SUCCEEDED, 1, None)
    assert run.lease_owner is None
    assert run.plan_id is not None
    stored = scene.plan(run.plan_id)
    assert stored.status is PlanStatus.PROPOSED
    assert stored.rung == "exact"
    assert stored.money_eur == pytest.approx(0.02)
    assert stored.baseline_money_eur == pytest.approx(0.10)
    assert stored.breaches == []
    document = scene.document(run.plan_id)
    placement = document.plan.placement("train")
    assert placement is not None
    assert placement.start_slot in {6, 7, 8}
    assert document.window.start == START


def test_an_idle_worker_does_nothing(scene: Scene) -> None:
    """No run, no work."""
    assert worker(scene).work_once() is None


def test_runs_are_done_in_the_order_they_were_queued(scene: Scene) -> None:
    """First in, first out."""
    first = scene.queue("manual/1")
    scene.wait(seconds=1)
    second = scene.queue("manual/2")
    busy = worker(scene)
    assert [busy.work_once(), busy.work_once(), busy.work_once()] == [first, second, None]


def test_a_missing_signal_fails_the_run_with_the_interval_named(scene: Scene) -> None:
    """Nothing is guessed beyond a week."""
    run = scene.queue(hours=24 * 14)
    worker(scene).work_once()
    failed = scene.run(run)
    assert failed.status is RunStatus.FAILED
    assert failed.error is not None
    assert "site DE: no price for 2021-07-14T00:00Z" in failed.error


@pytest.mark.parametrize(
    ("method", "said"), [(crash, "ended with signal SIGKILL"), (fail, "MemoryError: no room")]
)
def test_a_solver_that_breaks_down_still_leaves_a_plan(
    scene: Scene, method: Method, said: str
) -> None:
    """The run falls to the greedy rung, and the plan says why."""
    scene.submit()
    run = scene.queue()
    worker(scene, method).work_once()
    done = scene.run(run)
    assert done.status is RunStatus.SUCCEEDED
    assert done.plan_id is not None
    stored = scene.plan(done.plan_id)
    assert stored.rung == "greedy"
    assert any(said in mark for mark in stored.marks)


def test_a_solver_far_over_its_time_limit_is_killed(scene: Scene) -> None:
    """It gets its limit and not a second more here; then greedy takes over."""
    scene.submit()
    run = scene.queue(time_limit_s=0.5)
    worker(scene, endless).work_once()
    done = scene.run(run)
    assert done.plan_id is not None
    stored = scene.plan(done.plan_id)
    assert stored.rung == "greedy"
    assert any("the solver was killed after" in mark for mark in stored.marks)


def test_a_plan_that_verification_refuses_is_kept_but_never_in_force(
    sessions: SessionFactory,
) -> None:
    """Even where every plan is approved by policy."""
    always = fleet_spec(planning={"approval": "always"})
    scene = Scene(sessions).set_up(always)
    scene.submit()
    run = scene.queue()
    worker(scene, wrong).work_once()
    done = scene.run(run)
    assert done.status is RunStatus.SUCCEEDED
    assert done.plan_id is not None
    stored = scene.plan(done.plan_id)
    assert stored.status is PlanStatus.REFUSED
    assert any("objective" in breach for breach in stored.breaches)


def test_others_write_while_a_plan_is_verified(
    scene: Scene, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes seconds for a large plan; the lease is renewed before and after."""
    run = scene.queue()
    impatient = create_engine(sqlite_url, connect_args={"timeout": 0})
    leases = []

    def verify_slowly(problem: Problem, plan: Plan) -> tuple[Breach, ...]:
        with impatient.begin() as connection:
            connection.execute(text("UPDATE job SET reason = 'written meanwhile'"))
        leases.append(scene.run(run).lease_expires_at)
        time.sleep(0.05)
        return verify(problem, plan)

    def remember(session: Session, lease: Lease, *_: object, **__: object) -> bool:
        leases.append(scene.run(run).lease_expires_at)
        return succeed_run(session, lease, *_, **__)  # type: ignore[arg-type]

    monkeypatch.setattr("scheduler.services.planning.verify", verify_slowly)
    monkeypatch.setattr("scheduler.services.planning.succeed_run", remember)
    worker(scene).work_once()
    impatient.dispose()
    assert scene.run(run).status is RunStatus.SUCCEEDED, scene.run(run).error
    before, after = leases
    assert after > before


def in_the_middle(
    scene: Scene, run: UUID, act: Callable[[], object], stop: threading.Event
) -> None:
    """Start a worker on an endless solve, act once it has shown progress, wait for it to let go."""
    busy = threading.Thread(target=worker(scene, endless, stop).work_once)
    busy.start()
    until = time.monotonic() + 30
    while scene.run(run).progress is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    act()
    busy.join(20)
    assert not busy.is_alive()


def test_progress_is_shown_and_a_cancelled_run_is_dropped(scene: Scene) -> None:
    """The worker finds out when it renews its lease."""
    run = scene.queue()

    def cancel() -> None:
        shown = scene.run(run).progress
        assert shown == {"phase": "solve", "seconds": 1.0, "best": 12.0, "bound": 9.0, "gap": 0.25}
        with transaction(scene.sessions) as session:
            cancel_run(session, run, scene.now())

    in_the_middle(scene, run, cancel, threading.Event())
    dropped = scene.run(run)
    assert dropped.status is RunStatus.CANCELLED
    assert dropped.plan_id is None


def test_a_worker_asked_to_stop_gives_its_run_back(scene: Scene) -> None:
    """Another one can take it at once, and the attempt does not count."""
    run = scene.queue()
    stop = threading.Event()
    in_the_middle(scene, run, stop.set, stop)
    back = scene.run(run)
    assert (back.status, back.attempts, back.lease_owner) == (RunStatus.QUEUED, 0, None)
    worker(scene).work_once()
    assert scene.run(run).status is RunStatus.SUCCEEDED


def test_a_worker_that_lost_its_lease_cannot_write(scene: Scene) -> None:
    """Another owner holds the run: what the first one has is dropped."""
    run = scene.queue()

    def take_away() -> None:
        with transaction(scene.sessions) as session:
            session.execute(
                update(PlanningRun).where(PlanningRun.id == run).values(lease_owner="another")
            )

    in_the_middle(scene, run, take_away, threading.Event())
    taken = scene.run(run)
    assert (taken.status, taken.lease_owner) == (RunStatus.RUNNING, "another")
    assert taken.plan_id is None
