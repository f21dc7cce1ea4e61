"""The supervisor alone: one at a time, and a job that ends while it is about to be paused."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.clusters.local.cluster import LocalCluster, LocalPool
from connectors.clusters.local.jobfolder import Assignment, JobFolder, Phase, Wanted
from connectors.clusters.local.processes import identify, is_held
from connectors.clusters.local.supervisor import Run, watch
from connectors.types import JobOrder, JobState
from tests.contracts.waiting import end_everything, seen_as

SUPERVISOR = [sys.executable, "-m", "connectors.clusters.local.supervisor"]


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    """A job that was accepted and not started: its scheduler died in between."""
    (tmp_path / "jobs").mkdir()
    folder = JobFolder(tmp_path / "jobs" / "job-a")
    order = JobOrder("a", ("/bin/sh", "-c", "echo ran"), "pool", 1)
    folder.create(Assignment(order, dict(os.environ), None), Wanted(1, Phase.RUN, (0,)))
    return folder


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    """The cluster whose job it is."""
    cluster = LocalCluster("local", tmp_path, [LocalPool("pool", 4)])
    yield cluster
    await end_everything(cluster)


async def test_who_has_not_the_lock_starts_nothing(
    folder: JobFolder, cluster: LocalCluster
) -> None:
    """A supervisor that finds another one at work leaves the job to it."""
    with folder.lock(wait_s=0) as is_held:
        assert is_held
        subprocess.run([*SUPERVISOR, str(folder.path)], check=True, timeout=30)
        assert folder.start(1) is None
    assert (await seen_as(cluster, "a", JobState.SUCCEEDED)).starts == 1


async def test_racing_supervisors_start_the_job_once(
    folder: JobFolder, cluster: LocalCluster
) -> None:
    """However many are started at once, the command runs once."""
    racing = [subprocess.Popen([*SUPERVISOR, str(folder.path)]) for _ in range(6)]
    assert [process.wait(30) for process in racing] == [0] * 6
    assert (await seen_as(cluster, "a", JobState.SUCCEEDED)).starts == 1
    assert folder.log.read_text() == "ran\n"


class EndsWhileAsked(JobFolder):
    """A folder that, when asked what is wanted, lets the job end first and then says: pause it."""

    def __init__(self, path: Path, job: subprocess.Popen[bytes]) -> None:
        super().__init__(path)
        self._job = job

    def wanted(self) -> Wanted:
        """Let the job end, uncollected."""
        if self._job.stdin is not None and not self._job.stdin.closed:
            self._job.stdin.close()
            os.waitid(os.P_PID, self._job.pid, os.WEXITED | os.WNOWAIT)
        return Wanted(1, Phase.PAUSE, (0,))


def test_a_job_that_ends_before_it_is_told_is_done(folder: JobFolder) -> None:
    """It was to be paused, but had finished: to run it again would double it."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, start_new_session=True) as job:
        run = Run(1, identify(job.pid), is_child=True)
        watch(EndsWhileAsked(folder.path, job), folder.assignment(1).order, run)
    final = folder.final()
    assert final is not None
    assert (final.state, final.exit_code) == (JobState.SUCCEEDED, 0)
    assert folder.pause(1) is None


class Full(JobFolder):
    """A folder that is to be paused, and has no room for what is first noted, of each kind."""

    def __init__(self, path: Path, job: subprocess.Popen[bytes]) -> None:
        super().__init__(path)
        self._leader = identify(job.pid)
        self._refused: set[str] = set()
        self.was_held = False

    def wanted(self) -> Wanted:
        """Pause it."""
        if self._refused:
            self.was_held |= is_held(self._leader)
        return Wanted(1, Phase.PAUSE, (0,))

    def write_told_to_leave(self, run: int) -> None:
        """Find no room at first."""
        self._refuse_once("told")
        super().write_told_to_leave(run)

    def write_pause(self, run: int, exit_code: int | None, reason: str) -> None:
        """Find no room at first."""
        self._refuse_once("pause")
        super().write_pause(run, exit_code, reason)

    def _refuse_once(self, what: str) -> None:
        if what not in self._refused:
            self._refused.add(what)
            raise OSError(errno.ENOSPC, f"{what}: no space left on device")


def test_a_job_whose_folder_is_full_is_paused_once_that_can_be_noted(folder: JobFolder) -> None:
    """Until then it works on; and how it left is not lost with whoever saw it."""
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as job:
        run = Run(1, identify(job.pid), is_child=True)
        full = Full(folder.path, job)
        watch(full, folder.assignment(1).order, run)
    assert not full.was_held
    pause = folder.pause(1)
    assert pause is not None
    assert pause.exit_code == -signal.SIGTERM


async def test_how_a_job_ended_whose_folder_was_away_is_not_lost(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    """A volume that goes and comes again: the job runs on, ends meanwhile, and how is seen."""
    may_end = tmp_path / "may-end"
    command = ("/bin/sh", "-c", f"until [ -e {may_end} ]; do sleep 0.05; done; exit 7")
    await cluster.submit(JobOrder("b", command, "pool", 1))
    folder = JobFolder(tmp_path / "jobs" / "job-b")
    folder.path.rename(tmp_path / "elsewhere")
    await asyncio.sleep(1.5)  # a supervisor looks every second
    may_end.touch()
    await asyncio.sleep(0.3)
    (tmp_path / "elsewhere").rename(folder.path)
    assert (await seen_as(cluster, "b", JobState.FAILED)).exit_code == 7
