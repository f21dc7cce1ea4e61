"""Killed at any instant, by chance or at every write, a job is neither lost nor doubled."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from connectors.clusters.local.cluster import LocalCluster
from connectors.types import JobObservation, JobOrder, JobState
from tests.connectors import creator
from tests.connectors.fatal import die_at_fsync, live_again
from tests.contracts.waiting import end_everything, seen_as, until
from tests.peers.processes import parent_of, pids_where

_OVER = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
# Syncs of a first submission: the cluster's name, order, wanted, cap (two each), the jobs' folder.
_CREATOR_SYNCS = 9
# Syncs of a supervisor: its name and the end; of its child, counted on: the start (two each).
_SUPERVISOR_SYNCS = 4
# Syncs of a supervisor that adopts a job to pause it: its name, that it told it, the pause.
_PAUSE_SYNCS = 6


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Where jobs leave their lines."""
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    """The cluster as the next scheduler finds it."""
    cluster = creator.make_cluster(tmp_path / "state")
    yield cluster
    await end_everything(cluster)


def times_run(runs: Path, key: str) -> int:
    """Count the lines of a job."""
    file = runs / key
    return len(file.read_text().splitlines()) if file.exists() else 0


def start_creator(tmp_path: Path, runs: Path, keys: list[str]) -> subprocess.Popen[str]:
    """Start a scheduler that submits ``keys``."""
    arguments = [str(tmp_path / "state"), str(runs), *keys]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.connectors.creator", *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )


def supervisors(state: Path) -> list[tuple[int, int]]:
    """Pairs of a process that stands behind a supervisor, and the supervisor."""
    mark, folder = b"connectors.clusters.local.supervisor", os.fsencode(state)
    pids = pids_where("cmdline", lambda said: mark in said and folder in said)
    parents = {pid: parent_of(pid) for pid in pids}
    return [(parent, pid) for pid, parent in parents.items() if parent in parents]


def kill_supervisors(state: Path) -> int:
    """Kill all supervisors of the cluster in ``state``, and children that are not the job yet.

    Those that stand behind them go first, or they would take their place.
    """
    mark, folder = b"connectors.clusters.local.supervisor", os.fsencode(state)
    killed = 0
    for pid in pids_where("cmdline", lambda said: mark in said and folder in said):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


async def all_over(cluster: LocalCluster, runs: Path, keys: list[str]) -> list[JobObservation]:
    """Submit every key again, as a restarted scheduler does, and wait until all is over."""
    for key in keys:
        await cluster.submit(creator.order(runs, key))
    return [await seen_as(cluster, key, *_OVER) for key in keys]


async def test_a_scheduler_killed_at_random_runs_every_job_once(
    tmp_path: Path, runs: Path, cluster: LocalCluster
) -> None:
    """Seven schedulers in a row die at work on the same list; each job has run exactly once."""
    rng = random.Random(7)
    keys = [f"job-{n}" for n in range(9)]
    for _ in range(7):
        with start_creator(tmp_path, runs, keys) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(rng.uniform(0.0, 0.25))
            process.kill()
    for job in await all_over(cluster, runs, keys):
        assert (job.state, job.starts, times_run(runs, job.key)) == (JobState.SUCCEEDED, 1, 1)


async def test_supervisors_killed_at_random_double_nothing(
    tmp_path: Path, runs: Path, cluster: LocalCluster
) -> None:
    """Schedulers and supervisors die together: what succeeded ran once, what is unclear failed."""
    rng = random.Random(11)
    keys = [f"job-{n}" for n in range(9)]
    killed = 0
    for _ in range(7):
        with start_creator(tmp_path, runs, keys) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(rng.uniform(0.0, 0.25))
            process.kill()
            killed += kill_supervisors(tmp_path / "state")
    assert killed > 0
    for job in await all_over(cluster, runs, keys):
        assert times_run(runs, job.key) <= 1, job
        assert job.starts <= 1, job
        if job.state is JobState.SUCCEEDED:
            assert times_run(runs, job.key) == 1, job
        else:
            assert job.reason, job


@pytest.mark.parametrize("call", range(1, _CREATOR_SYNCS + 1))
async def test_a_scheduler_may_die_at_every_write(
    tmp_path: Path,
    runs: Path,
    cluster: LocalCluster,
    monkeypatch: pytest.MonkeyPatch,
    call: int,
) -> None:
    """Before and after each file of a submission: the job runs once when it is submitted again."""
    die_at_fsync(monkeypatch, tmp_path / "hook", call)
    with start_creator(tmp_path, runs, ["a"]) as process:
        assert process.wait(30) == -signal.SIGKILL
    live_again(monkeypatch)
    before = await cluster.observe()
    assert len(before) <= 1
    (job,) = await all_over(cluster, runs, ["a"])
    assert (job.state, job.starts, times_run(runs, "a")) == (JobState.SUCCEEDED, 1, 1)


async def test_a_job_left_before_its_start_is_started_by_who_looks(
    tmp_path: Path, runs: Path, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder is whole and nothing runs: observing is enough."""
    die_at_fsync(monkeypatch, tmp_path / "hook", _CREATOR_SYNCS)
    with start_creator(tmp_path, runs, ["a"]) as process:
        assert process.wait(30) == -signal.SIGKILL
    live_again(monkeypatch)
    job = await seen_as(cluster, "a", *_OVER)
    assert (job.state, times_run(runs, "a")) == (JobState.SUCCEEDED, 1)


@pytest.mark.parametrize("call", range(1, _SUPERVISOR_SYNCS + 1))
async def test_a_supervisor_may_die_at_every_write(
    tmp_path: Path,
    runs: Path,
    cluster: LocalCluster,
    monkeypatch: pytest.MonkeyPatch,
    call: int,
) -> None:
    """Supervisor and starting job die around each of their files; the job never runs twice."""
    die_at_fsync(monkeypatch, tmp_path / "hook", call)
    await cluster.submit(creator.order(runs, "a"))
    live_again(monkeypatch)
    job = await seen_as(cluster, "a", *_OVER)
    has_succeeded = job.state is JobState.SUCCEEDED
    assert times_run(runs, "a") == has_succeeded
    assert has_succeeded or job.reason


@pytest.mark.parametrize("call", range(1, _PAUSE_SYNCS + 1))
async def test_a_supervisor_may_die_at_every_write_of_a_pause(
    tmp_path: Path,
    runs: Path,
    cluster: LocalCluster,
    monkeypatch: pytest.MonkeyPatch,
    call: int,
) -> None:
    """Whatever is lost with it, the job is paused once, and goes on once when resumed."""
    script = (
        f'echo ran >> {runs}/a; if [ "$GRIDTIDE_IS_CONTINUATION" = 1 ]; then exit 0; fi;'
        "while :; do sleep 0.02; done"
    )
    ordered = JobOrder("a", ("sh", "-c", script), creator.POOL, 2)
    await cluster.submit(ordered)
    await until(lambda: times_run(runs, "a") == 1, "the job runs")
    assert kill_supervisors(tmp_path / "state") == 2
    die_at_fsync(monkeypatch, tmp_path / "hook", call)
    await cluster.suspend("a")
    live_again(monkeypatch)
    job = await seen_as(cluster, "a", JobState.SUSPENDED)
    assert (job.gpus, job.starts) == (0, 1)
    await cluster.resume(ordered)
    job = await seen_as(cluster, "a", *_OVER)
    assert (job.state, job.starts, times_run(runs, "a")) == (JobState.SUCCEEDED, 2, 2)


async def test_the_death_of_a_supervisor_changes_nothing(
    tmp_path: Path, runs: Path, cluster: LocalCluster
) -> None:
    """Another stood behind it: the job is seen to its end, and may be paused on the way."""
    command = ("sh", "-c", f"echo ran >> {runs}/a; until [ -e {runs}/go ]; do sleep 0.02; done")
    for key in ("a", "b"):
        await cluster.submit(JobOrder(key, command, creator.POOL, 1))
        await seen_as(cluster, key, JobState.RUNNING)
    for _, supervisor in supervisors(tmp_path / "state"):
        os.kill(supervisor, signal.SIGKILL)
    await cluster.suspend("b")
    paused = await seen_as(cluster, "b", JobState.SUSPENDED)
    assert "SIGTERM" in paused.reason
    (runs / "go").touch()
    job = await seen_as(cluster, "a", *_OVER)
    assert (job.state, job.exit_code, job.starts) == (JobState.SUCCEEDED, 0, 1)


async def test_what_a_job_leaves_behind_is_collected(
    tmp_path: Path, runs: Path, cluster: LocalCluster
) -> None:
    """Who stands behind its supervisor is the parent of its orphans, and lets none of them stay."""
    script = f"for i in 1 2 3; do (sh -c 'exit 0' & ); done; echo ran >> {runs}/a; exec sleep 600"
    await cluster.submit(JobOrder("a", ("sh", "-c", script), creator.POOL, 1))
    await until(lambda: times_run(runs, "a") == 1, "the job runs")
    ((stands_by, supervisor),) = supervisors(tmp_path / "state")
    children = Path(f"/proc/{stands_by}/task/{stands_by}/children")
    await until(lambda: children.read_text().split() == [str(supervisor)], "none is left")


async def test_an_orphan_is_adopted(tmp_path: Path, runs: Path, cluster: LocalCluster) -> None:
    """A job whose supervisor was killed goes on, holds its GPUs, and obeys a new supervisor."""
    command = ("sh", "-c", f"echo ran >> {runs}/a; exec sleep 600")
    await cluster.submit(JobOrder("a", command, creator.POOL, 2))
    await until(lambda: times_run(runs, "a") == 1, "the job runs")
    assert kill_supervisors(tmp_path / "state") == 2
    job = await seen_as(cluster, "a", JobState.RUNNING)
    assert (job.gpus, job.starts) == (2, 1)
    await cluster.suspend("a")
    await seen_as(cluster, "a", JobState.SUSPENDED)
    assert times_run(runs, "a") == 1


async def test_an_orphan_that_ended_unseen_has_failed(
    tmp_path: Path, runs: Path, cluster: LocalCluster
) -> None:
    """Nobody knows its exit code, so it is not called a success and not run again."""
    command = ("sh", "-c", f"until [ -e {runs}/go ]; do sleep 0.02; done")
    await cluster.submit(JobOrder("a", command, creator.POOL, 1))
    assert kill_supervisors(tmp_path / "state") == 2
    assert (await seen_as(cluster, "a", JobState.RUNNING)).starts == 1
    (runs / "go").touch()
    job = await seen_as(cluster, "a", *_OVER)
    assert (job.state, job.exit_code, job.gpus, job.starts) == (JobState.FAILED, None, 0, 1)
    assert "exit code is not known" in job.reason
