"""Energy of jobs: asked for beside dispatch, once for all of them, until it is settled."""

from __future__ import annotations

import threading
from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from connectors.errors import Unavailable
from connectors.types import PowerScope, StartEnergy
from scheduler.db.models import Job, JobEnergy, JobStatus
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.energy_watch import EnergyWatch
from scheduler.services.job_energy import energy_of, total_of
from scheduler.services.outside import Outside
from scheduler.watches import run_energy_watch
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.scene import Scene


class Accounts:
    """Implements ``EnergyAccounts``: knows what the test has settled."""

    def __init__(self) -> None:
        self.settled: list[StartEnergy] = []
        self.asked: list[list[str]] = []
        self.is_away = False

    def settle(self, job: UUID, start: int = 1, **changes: Any) -> None:
        """Have a start on record."""
        values: dict[str, Any] = {"kwh": 2.5, "scope": PowerScope.NODES} | changes
        found = StartEnergy(str(job), start, START, START, source="slurmdbd", **values)
        self.settled.append(found)

    async def energy(self, keys: Collection[str]) -> tuple[StartEnergy, ...]:
        """Everything settled of these."""
        self.asked.append(list(keys))
        if self.is_away:
            raise Unavailable("slurmdbd: connection refused")
        return tuple(one for one in self.settled if one.key in keys)


class Watched:
    """Two sites, of which DE keeps accounts."""

    def __init__(self, sessions: SessionFactory) -> None:
        self.scene = Scene(sessions).set_up(fleet_spec(site_spec("DE"), site_spec("FR")))
        self.sessions = sessions
        self.accounts = Accounts()
        self.watch = self.new_watch()

    def new_watch(self, jobs_at_once: int = 100) -> EnergyWatch:
        """Another process."""
        outside = Outside({}, accounts={"DE": self.accounts})
        now = self.scene.now
        return EnergyWatch(self.sessions, lambda _: outside, now, 5.0, jobs_at_once)

    def job(
        self, name: str, status: JobStatus, starts: int = 1, site: str = "DE", hours_ago: int = 0
    ) -> UUID:
        """A job that stands so, as dispatch would have recorded it."""
        job_id = self.scene.submit(name)
        with transaction(self.sessions) as session:
            job = session.get_one(Job, job_id)
            job.status, job.starts, job.site = status, starts, site
            if status.is_final:
                job.ended_at = self.scene.at - timedelta(hours=hours_ago)
        return job_id

    def rows(self, job: UUID) -> list[JobEnergy]:
        """What is on record of a job."""
        with transaction(self.sessions) as session:
            return energy_of(session, [job]).get(job, [])


@pytest.fixture
def watched(sessions: SessionFactory) -> Watched:
    """On each kind of database."""
    return Watched(sessions)


def test_jobs_with_starts_that_are_over_are_asked_for_together(watched: Watched) -> None:
    """Not one that runs for the first time, was never started, or runs where nobody keeps any."""
    over = [
        watched.job("ended", JobStatus.SUCCEEDED),
        watched.job("paused", JobStatus.SUSPENDED),
        watched.job("resumed", JobStatus.RUNNING, starts=2),
    ]
    watched.job("running", JobStatus.RUNNING)
    watched.job("waiting", JobStatus.WAITING, starts=0)
    watched.job("elsewhere", JobStatus.SUCCEEDED, site="FR")
    watched.job("long-ago", JobStatus.SUCCEEDED, hours_ago=8 * 24)
    watched.watch.look()
    assert [sorted(keys) for keys in watched.accounts.asked] == [sorted(map(str, over))]


def test_what_is_settled_is_kept_and_not_asked_for_again(watched: Watched) -> None:
    """What is not is, in every look; what was kept stays as it is."""
    job = watched.job("train", JobStatus.SUCCEEDED, starts=2)
    watched.accounts.settle(job, kwh=None, reason="it shared its nodes")
    watched.watch.look()
    (first,) = watched.rows(job)
    assert (first.start, first.kwh, first.reason) == (1, None, "it shared its nodes")
    assert (first.source, first.scope, first.site) == ("slurmdbd", PowerScope.NODES, "DE")
    watched.accounts.settled.clear()
    watched.accounts.settle(job, kwh=9.0)
    watched.accounts.settle(job, 2)
    watched.watch.look()
    assert [(row.start, row.kwh) for row in watched.rows(job)] == [(1, None), (2, 2.5)]
    watched.watch.look()
    assert len(watched.accounts.asked) == 2


def test_two_dispatchers_keep_it_once(watched: Watched) -> None:
    """Whoever asks."""
    job = watched.job("train", JobStatus.SUCCEEDED)
    watched.accounts.settle(job)
    watched.accounts.settle(job)
    watched.watch.look()
    watched.new_watch().look()
    assert len(watched.rows(job)) == 1


def test_accounts_that_are_away_are_asked_in_the_next_look(watched: Watched) -> None:
    """Nothing is assumed, and nothing lost."""
    job = watched.job("train", JobStatus.SUCCEEDED)
    watched.accounts.settle(job)
    watched.accounts.is_away = True
    watched.watch.look()
    assert watched.rows(job) == []
    watched.accounts.is_away = False
    watched.watch.look()
    assert len(watched.rows(job)) == 1


def test_of_many_jobs_some_are_asked_for_at_a_time(watched: Watched) -> None:
    """All have their turn, though the first ones stay unsettled for days."""
    jobs = {str(watched.job(f"train-{n}", JobStatus.SUCCEEDED)) for n in range(5)}
    watch = watched.new_watch(jobs_at_once=2)
    for _ in range(4):
        watch.look()
    asked = watched.accounts.asked
    assert [len(keys) for keys in asked] == [2, 2, 1, 2]
    assert {key for keys in asked[:3] for key in keys} == jobs
    assert asked[3] == asked[0]


@pytest.mark.parametrize("kwh", [float("nan"), float("inf"), -1.0])
def test_what_is_no_energy_is_not_recorded(watched: Watched, kwh: float) -> None:
    """Nor of a job that was not asked for; the others are."""
    job, other = (watched.job(name, JobStatus.SUCCEEDED) for name in ("train", "other"))
    watched.accounts.settle(job, kwh=kwh)
    watched.accounts.settle(other)
    watched.watch.look()
    assert (watched.rows(job), len(watched.rows(other))) == ([], 1)


def test_the_database_refuses_energy_below_zero(watched: Watched) -> None:
    """Whoever writes it."""
    job = watched.job("train", JobStatus.SUCCEEDED)
    row = {"job_id": job, "start": 1, "site": "DE", "started_at": START, "recorded_at": START}
    row |= {"source": "x", "scope": PowerScope.GPUS, "reason": "", "kwh": -1.0}
    with pytest.raises(IntegrityError), transaction(watched.sessions) as session:
        session.add(JobEnergy(**row))


def test_a_sum_is_of_one_scope_and_says_of_how_many_starts() -> None:
    """Whole servers and GPUs alone make none."""

    def row(kwh: float | None, scope: PowerScope = PowerScope.NODES) -> JobEnergy:
        return JobEnergy(kwh=kwh, scope=scope)

    found = total_of(4, [row(1.0), row(2.0), row(None, PowerScope.GPUS)])
    assert (found.kwh, found.scope) == (3.0, PowerScope.NODES)
    assert (found.starts_measured, found.starts) == (2, 4)
    mixed = total_of(2, [row(1.0), row(2.0, PowerScope.GPUS)])
    assert (mixed.kwh, mixed.scope, mixed.starts_measured) == (None, None, 2)
    assert total_of(1, [row(None)]).kwh is None


def test_the_loop_looks_until_it_is_told_to_stop(watched: Watched) -> None:
    """A look that fails is not the last; the next is at the next minute."""
    looks: list[int] = []
    stop = threading.Event()

    def look() -> None:
        looks.append(1)
        if len(looks) == 2:
            stop.set()
        raise RuntimeError("one bad look")

    watched.scene.at = START + timedelta(seconds=59, milliseconds=990)
    assert watched.watch.seconds_to_next() == pytest.approx(0.01)
    watched.watch.look = look  # type: ignore[method-assign]
    run_energy_watch(watched.watch, stop)
    assert len(looks) == 2
