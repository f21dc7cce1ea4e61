"""Kill -9 and cut connections at any instant: every job runs exactly once, every plan is whole."""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from uuid import UUID

from sqlalchemy import create_engine, select, text

from optimizer import Placement, Run, verify
from scheduler.db.models import JobStatus, PlanStatus, RunStatus, StoredPlan
from scheduler.db.session import SessionFactory, make_engine, make_session_factory, transaction
from scheduler.dispatcher import run_dispatcher
from scheduler.services.dispatch import Dispatcher
from scheduler.services.outside import Outside
from scheduler.worker import Worker
from tests.chaos.process import TIMING, carry_out, cluster, solve_slowly, work
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.scene import Scene, put_in_force

N_JOBS = 12
FLEET = fleet_spec(site_spec(pools=[{"name": "a100", "gpus": 4}]))


@contextmanager
def process(target: Callable[..., None], *arguments: object) -> Iterator[BaseProcess]:
    """A process that has begun; killed at the end.

    It is forked from a server that has the modules loaded, so that it begins within milliseconds.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.chaos.process", "tests.chaos.streaming"])
    near_end, far_end = context.Pipe()
    started = context.Process(target=target, args=(*arguments, far_end))
    started.start()
    far_end.close()
    try:
        assert near_end.recv() == "ready"
        yield started
    finally:
        near_end.close()
        started.kill()
        started.join(20)
        started.close()


def kill_in_pairs(pairs: int, target: Callable[..., None], *arguments: object) -> None:
    """Run the same twice at a time, and kill both within tenths of a second."""
    instants = random.Random(20210705)
    for _ in range(pairs):
        with process(target, *arguments) as first, process(target, *arguments) as second:
            time.sleep(instants.uniform(0, 0.3))
            first.kill()
            time.sleep(instants.uniform(0, 0.1))
            second.kill()


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for a condition, and fail where it does not come."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.05)


def children_of(parent: BaseProcess) -> list[int]:
    """Processes a process has started."""
    pid = parent.pid
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed]


def is_alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def require_whole_plan(scene: Scene, run: UUID) -> None:
    """The run has ended with exactly one plan, which passes verification as it is stored."""
    ended = scene.run(run)
    assert ended.status is RunStatus.SUCCEEDED, ended.error
    with transaction(scene.sessions) as session:
        (stored,) = session.scalars(select(StoredPlan).where(StoredPlan.run_id == run)).all()
        assert (stored.id, stored.status) == (ended.plan_id, PlanStatus.PROPOSED)
    document = scene.document(stored.id)
    assert verify(document.problem, document.plan) == ()
    assert document.plan.placement("train") is not None


def test_a_worker_killed_in_the_middle_of_a_solve(database_url: str) -> None:
    """Twice: once in the solver, once anywhere. The third worker ends the run; no child is left."""
    engine = make_engine(database_url)
    scene = Scene(make_session_factory(engine)).set_up()
    scene.submit()
    run = scene.queue()
    arguments = (work, database_url, scene.now())
    with process(*arguments) as first:
        wait_until(lambda: scene.run(run).progress is not None)
        solvers = children_of(first)
        first.kill()
    assert solvers
    wait_until(lambda: not any(is_alive(pid) for pid in solvers))
    assert scene.run(run).status is RunStatus.RUNNING
    with process(*arguments) as second:
        wait_until(lambda: scene.run(run).attempts == 2)
        time.sleep(random.Random(20210705).uniform(0, 3))
        second.kill()
    with process(*arguments):
        wait_until(lambda: scene.run(run).status is not RunStatus.RUNNING)
    require_whole_plan(scene, run)
    engine.dispose()


class Jobs:
    """Jobs that write their name once each time they are started, and a plan for all of them."""

    def __init__(self, sessions: SessionFactory, folder: Path) -> None:
        self.started = folder / "started"
        self.started.touch()
        self.folder = folder / "cluster"
        self.scene = Scene(sessions).set_up(FLEET)
        script = f'echo "$GRIDTIDE_JOB" >> {self.started}; sleep 0.2'
        names = [f"job-{number}" for number in range(N_JOBS)]
        self.ids = [self.scene.submit(name, command=["sh", "-c", script]) for name in names]
        # Four at a time fit; the others wait for GPUs at every tick.
        runs = [
            Placement(name, "DE", (Run("DE/a100x1", 2 * (number // 4), 2 * (number // 4) + 2),))
            for number, name in enumerate(names)
        ]
        put_in_force(self.scene, *runs)
        self.scene.at = START.replace(hour=5)

    def are_over(self) -> bool:
        """Whether every job has ended."""
        return all(self.scene.job(job).status.is_final for job in self.ids)

    def require_each_ran_once(self) -> None:
        """Each has written its name once, and is known to have succeeded at its first start."""
        counted = Counter(self.started.read_text().split())
        assert counted == Counter(f"job-{number}" for number in range(N_JOBS))
        for job in self.ids:
            row = self.scene.job(job)
            assert (row.status, row.starts, row.exit_code) == (JobStatus.SUCCEEDED, 1, 0)


def test_a_dispatcher_killed_in_the_middle_of_a_dispatch(database_url: str, tmp_path: Path) -> None:
    """Two at a time, ten times within tenths of a second; the next one goes on from there."""
    engine = make_engine(database_url)
    jobs = Jobs(make_session_factory(engine), tmp_path)
    kill_in_pairs(10, carry_out, database_url, jobs.scene.now(), jobs.folder)
    outside = Outside({"DE": cluster(jobs.folder)})
    last = Dispatcher(jobs.scene.sessions, lambda _: outside, jobs.scene.now)

    def goes_on() -> bool:
        last.tick()
        return jobs.are_over()

    wait_until(goes_on)
    jobs.require_each_ran_once()
    engine.dispose()


@contextmanager
def running(*loops: Callable[[threading.Event], None]) -> Iterator[None]:
    """Loops in threads of their own, stopped at the end."""
    stop = threading.Event()
    threads = [threading.Thread(target=loop, args=(stop,)) for loop in loops]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


def disturb_until_done(jobs: Jobs, sessions: SessionFactory, disturb: Callable[[], None]) -> None:
    """Run worker and dispatcher while the database is taken away again and again."""
    jobs.scene.submit("train")
    run = jobs.scene.queue(window_start=None)
    outside = Outside({"DE": cluster(jobs.folder)})
    now = jobs.scene.now

    def plan(stop: threading.Event) -> None:
        Worker(sessions, now, stop, timing=TIMING, method=solve_slowly).run()

    def dispatch(stop: threading.Event) -> None:
        run_dispatcher(sessions, lambda _: outside, now, stop, every_s=0.05)

    with running(plan, dispatch):
        for _ in range(15):
            disturb()
        wait_until(lambda: jobs.are_over() and jobs.scene.run(run).finished_at is not None)
    jobs.require_each_ran_once()
    require_whole_plan(jobs.scene, run)


def test_connections_cut_by_the_database(postgres_url: str, tmp_path: Path) -> None:
    """PostgreSQL ends every connection fifteen times while a plan is made and jobs start."""
    engine = make_engine(postgres_url)
    admin = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    others = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    def disturb() -> None:
        with admin.connect() as connection:
            connection.execute(others)
        time.sleep(0.25)

    sessions = make_session_factory(engine)
    disturb_until_done(Jobs(sessions, tmp_path), sessions, disturb)
    admin.dispose()
    engine.dispose()


def test_a_database_locked_by_somebody_else(sqlite_url: str, tmp_path: Path) -> None:
    """SQLite is locked for longer than anybody waits, fifteen times, in the same situation."""
    engine = make_engine(sqlite_url)
    impatient = create_engine(sqlite_url, connect_args={"timeout": 0.05})
    locker = create_engine(sqlite_url, isolation_level="AUTOCOMMIT")

    def disturb() -> None:
        with locker.connect() as connection:
            connection.execute(text("BEGIN IMMEDIATE"))
            time.sleep(0.2)
            connection.execute(text("ROLLBACK"))
        time.sleep(0.05)

    jobs = Jobs(make_session_factory(engine), tmp_path)
    disturb_until_done(jobs, make_session_factory(impatient), disturb)
    for opened in (locker, impatient, engine):
        opened.dispose()
