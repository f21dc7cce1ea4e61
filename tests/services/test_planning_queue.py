"""Claims and leases, on both databases."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest

from optimizer import Progress
from scheduler.db.models import RunStatus
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.planning_queue import (
    Lease,
    claim_run,
    fail_run,
    give_back,
    give_up_hopeless,
    renew_lease,
    succeed_run,
)
from tests.services.builders import START
from tests.services.scene import Scene


@pytest.fixture
def scene(sessions: SessionFactory) -> Scene:
    """A fleet of one site."""
    return Scene(sessions).set_up()


def claim(scene: Scene, owner: str, after_s: float = 0) -> UUID | None:
    """Claim for 30 s, so many seconds after START of real time."""
    lease_now = START + timedelta(seconds=after_s)
    with transaction(scene.sessions) as session:
        run = claim_run(session, owner, scene.now(), lease_now, 30)
        return None if run is None else run.id


def test_each_run_is_claimed_by_exactly_one_of_many_workers(scene: Scene) -> None:
    """Eight workers at once on five runs: five claims, five different runs."""
    runs = {scene.queue(f"manual/{number}") for number in range(5)}
    barrier = threading.Barrier(8)
    claimed: list[UUID | None] = []

    def work(owner: str) -> None:
        barrier.wait()
        claimed.append(claim(scene, owner))

    workers = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    counted = Counter(run for run in claimed if run is not None)
    # A worker that was passed over by the lock finds the rest when it looks again.
    while (run := claim(scene, "late")) is not None:
        counted[run] += 1
    assert counted == Counter(runs)


def test_a_run_is_taken_again_once_the_lease_is_over(scene: Scene) -> None:
    """Not a second earlier; the attempts are counted."""
    run = scene.queue()
    assert claim(scene, "first") == run
    assert claim(scene, "second", after_s=29) is None
    assert claim(scene, "second", after_s=31) == run
    taken = scene.run(run)
    assert (taken.lease_owner, taken.attempts) == ("second", 2)


def test_renewing_keeps_others_away_and_shows_progress(scene: Scene) -> None:
    """Held at 29 s, it still stands at 50 s."""
    run = scene.queue()
    claim(scene, "first")
    with transaction(scene.sessions) as session:
        progress = Progress("solve", 3.0, best=10.0, bound=9.0)
        lease = Lease(run, "first")
        assert renew_lease(session, lease, START + timedelta(seconds=29), 30, progress)
    assert claim(scene, "second", after_s=50) is None
    shown = scene.run(run).progress
    assert shown is not None
    assert (shown["phase"], shown["gap"]) == ("solve", pytest.approx(0.1))


def test_who_lost_the_lease_can_change_nothing(scene: Scene) -> None:
    """Renew, give back, fail and succeed all answer no."""
    run = scene.queue()
    claim(scene, "first")
    claim(scene, "second", after_s=31)
    late = Lease(run, "first")
    with transaction(scene.sessions) as session:
        assert not renew_lease(session, late, START, 30)
        assert not give_back(session, late)
        assert not fail_run(session, late, scene.now(), "too late")
        assert not succeed_run(session, late, scene.now(), run)
    kept = scene.run(run)
    assert (kept.status, kept.lease_owner, kept.error) == (RunStatus.RUNNING, "second", None)


def test_a_run_given_back_waits_again_without_counting(scene: Scene) -> None:
    """The worker was stopped; that says nothing about the run."""
    run = scene.queue()
    claim(scene, "first")
    with transaction(scene.sessions) as session:
        assert give_back(session, Lease(run, "first"))
    assert (scene.run(run).status, scene.run(run).attempts) == (RunStatus.QUEUED, 0)
    assert claim(scene, "second") == run


def test_a_run_whose_workers_keep_dying_is_given_up_with_the_reason(scene: Scene) -> None:
    """Three workers took it and were not heard of again."""
    run = scene.queue()
    for attempt in range(3):
        assert claim(scene, f"worker {attempt}", after_s=40 * attempt) == run
    assert claim(scene, "worker 4", after_s=200) is None
    with transaction(scene.sessions) as session:
        assert give_up_hopeless(session, scene.now(), START + timedelta(seconds=90)) == 0
        assert give_up_hopeless(session, scene.now(), START + timedelta(seconds=200)) == 1
    failed = scene.run(run)
    assert failed.status is RunStatus.FAILED
    assert failed.error is not None
    assert "given up after 3 attempts" in failed.error
