"""The run itself: faults as they were drawn, plans made anew all the while, and a judgement."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from sqlalchemy import func, select

from benchmarks.chaos.day import ACTOR, HOURS, START, Kind, Load, draw_jobs, fleet_of, take_in
from benchmarks.chaos.evidence import Judged, judge, read_evidence, real_time
from benchmarks.chaos.faults import Fault, Kill, draw_faults
from benchmarks.chaos.place import (
    CLUSTERS,
    GPUS,
    LOCAL,
    Dispatcher,
    Part,
    Started,
    Troubles,
    local_parts,
    merged,
)
from scheduler.cli.carry_out import end_all_jobs
from scheduler.cli.database import upgraded_sessions
from scheduler.db.models import OPEN_STATUSES, CommandOutcome, DispatchCommand, Job, StoredPlan
from scheduler.db.session import SessionFactory, transaction
from scheduler.main import connect
from scheduler.services.outside import Outside
from scheduler.services.runs import RunRequest, queue_run
from scheduler.settings import Settings
from scheduler.specs import FleetSpec, JobSpec
from scheduler.timekeeping import Now, accelerated_now
from scheduler.worker import Worker

_SOLVE_S = 2.0
_LOOK_EVERY_S = 0.5
_OPERATE_EVERY_S = 10.0
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Asked:
    """What to run.

    Attributes
    ----------
    seconds_per_hour
        Real time in which the clock of the day moves on by an hour.
    faults_within_hours, released_within_hours
        By that clock, from the beginning: when the last fault and the last job may come.
    plan_every_s
        Real time from plan to plan.
    """

    seed: int
    n_faults: int
    n_jobs: int
    clusters: tuple[str, ...]
    seconds_per_hour: float
    faults_within_hours: float
    released_within_hours: float
    plan_every_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    faults: tuple[Fault, ...]
    judged: tuple[Judged, ...]
    commands: Mapping[CommandOutcome, int]
    n_plans: int
    took_s: float


def run(asked: Asked, folder: Path, show: Callable[[str], None]) -> Outcome:
    """Run it all in ``folder``, which is empty; everything that was started is ended."""
    settings = Settings(state_dir=folder / "state")
    sessions = upgraded_sessions(settings)
    evidence = folder / "evidence"
    evidence.mkdir()
    with ExitStack() as stack:
        # First in, last out: what a thread started may die with it.
        pool = stack.enter_context(ThreadPoolExecutor(_AT_ONCE))
        started = {name: stack.enter_context(CLUSTERS[name](folder)) for name in asked.clusters}
        specs = {LOCAL: {"kind": "local"}} | {name: one.spec for name, one in started.items()}
        fleet = fleet_of(specs, GPUS)
        load = Load(
            seed=asked.seed,
            count=asked.n_jobs,
            within_hours=asked.released_within_hours,
            seconds_per_hour=asked.seconds_per_hour,
            evidence=evidence,
        )
        jobs = draw_jobs(load, list(specs))
        take_in(sessions, fleet, jobs, asked.seed)
        began_s, began = time.monotonic(), datetime.now(UTC)
        factor = 3600 / asked.seconds_per_hour
        now = accelerated_now(START, factor, began_s)
        dispatcher = Dispatcher(settings, factor, began_s)
        troubles = _troubles(settings, dispatcher, started)
        within_s = asked.faults_within_hours * asked.seconds_per_hour
        drawn = draw_faults(asked.seed, asked.n_faults, within_s, troubles.can_be)
        stack.callback(_end_jobs, settings, fleet, now)
        for cluster in started.values():
            stack.callback(cluster.gate.be_calm)
        stack.callback(dispatcher.kill)
        _plan(sessions, now, 0)
        dispatcher.start()
        with _planning(sessions, now, asked.plan_every_s), _operating(started.values()):
            _let_happen(drawn, troubles, pool, began_s, show)
            _wait_until_over(sessions, now, show)
        took_s = time.monotonic() - began_s
        dispatcher.kill()
        judged = _judge(sessions, jobs, evidence, now_of=lambda at: real_time(at, began, factor))
    with transaction(sessions) as session:
        outcomes = Counter(session.scalars(select(DispatchCommand.outcome)))
        n_plans = session.scalar(select(func.count()).select_from(StoredPlan)) or 0
    return Outcome(tuple(drawn), judged, outcomes, n_plans, took_s)


def _troubles(
    settings: Settings, dispatcher: Dispatcher, started: Mapping[str, Started]
) -> Troubles:
    ours = {Kill.DISPATCHER: (Part("dispatcher", dispatcher.kill, dispatcher.start),)}
    of_clusters = [one.parts for one in started.values()]
    parts = merged(local_parts(settings.state_dir), ours, *of_clusters)
    return Troubles(parts, {name: one.gate for name, one in started.items()})


def _let_happen(
    faults: Sequence[Fault],
    troubles: Troubles,
    pool: ThreadPoolExecutor,
    began_s: float,
    show: Callable[[str], None],
) -> None:
    """Return once all faults are over. One that cannot be made to happen is an error."""

    def happen(fault: Fault) -> None:
        try:
            _sleep_until(began_s + fault.at_s)
            troubles.begin(fault)
            _sleep_until(began_s + fault.at_s + fault.lasts_s)
            troubles.end(fault)
        except Exception as error:
            # Said at once: what is ended after it may fail as well, and hide it.
            print(f"{fault}: {error!r}", file=sys.stderr)
            raise

    for number, _ in enumerate(pool.map(happen, faults), start=1):
        show(f"{number} of {len(faults)} faults are over")


def _sleep_until(at_s: float) -> None:
    time.sleep(max(0.0, at_s - time.monotonic()))


def _wait_until_over(sessions: SessionFactory, now: Now, show: Callable[[str], None]) -> None:
    """Return once every job is over, or its time."""
    while now() < START + timedelta(hours=HOURS):
        with transaction(sessions) as session:
            is_open = Job.status.in_(OPEN_STATUSES)
            n_open = session.scalar(select(func.count()).select_from(Job).where(is_open)) or 0
        if n_open == 0:
            return
        show(f"all faults are over; {n_open} jobs are not")
        time.sleep(_LOOK_EVERY_S)


@contextmanager
def _planning(sessions: SessionFactory, now: Now, every_s: float) -> Iterator[None]:
    """Plan anew from time to time."""
    numbers = count(1)
    with _again_and_again(lambda: _plan(sessions, now, next(numbers)), every_s):
        yield


@contextmanager
def _operating(clusters: Iterable[Started]) -> Iterator[None]:
    """Do what operators of clusters do."""

    def see_to_all() -> None:
        for cluster in clusters:
            cluster.see_to_it()

    with _again_and_again(see_to_all, _OPERATE_EVERY_S):
        yield


@contextmanager
def _again_and_again(do: Callable[[], None], every_s: float) -> Iterator[None]:
    """Do something in a thread of its own, with a pause between; its error is raised at the end."""
    stop = threading.Event()

    def loop() -> None:
        while not stop.wait(every_s):
            do()

    with ThreadPoolExecutor(1) as pool:
        looping = pool.submit(loop)
        try:
            yield
        finally:
            stop.set()
            looping.result()


def _plan(sessions: SessionFactory, now: Now, number: int) -> None:
    """Make a plan as a worker does; it is in force at once."""
    with transaction(sessions) as session:
        queue_run(session, RunRequest(f"{ACTOR} {number}", ACTOR, HOURS, _SOLVE_S), now())
    Worker(sessions, now, threading.Event()).work_once()


def _judge(
    sessions: SessionFactory,
    jobs: Sequence[tuple[JobSpec, Kind]],
    evidence: Path,
    now_of: Callable[[datetime], datetime],
) -> tuple[Judged, ...]:
    with transaction(sessions) as session:
        rows = {row.name: row for row in session.scalars(select(Job))}
    return tuple(
        judge(rows[spec.name], kind, read_evidence(evidence, spec.name), now_of(spec.deadline_at))
        for spec, kind in jobs
    )


def _end_jobs(settings: Settings, fleet: FleetSpec, now: Now) -> None:
    """End what runs: here first, where it would outlive us."""
    outside = connect(settings, fleet, now)
    for site in sorted(outside.clusters, key=lambda site: site != LOCAL):
        end_all_jobs(Outside({site: outside.clusters[site]}))
