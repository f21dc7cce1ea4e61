"""A process is its number and its start: numbers given again, and a machine that restarted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.clusters.local import processes
from connectors.clusters.local.cluster import LocalCluster, LocalPool
from connectors.types import JobOrder, JobState
from tests.contracts.waiting import end_everything, seen, seen_as, until
from tests.peers.processes import parent_of

ENDLESS = ("sleep", "600")


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    """Four GPUs."""
    cluster = LocalCluster("local", tmp_path, [LocalPool("pool", 4)])
    yield cluster
    await end_everything(cluster)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process group that is none of the cluster's business."""
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        yield process
        process.kill()


def record(tmp_path: Path, key: str, name: str) -> Path:
    """Return where a record of a job is."""
    return tmp_path / "jobs" / f"job-{key}" / name


def change(file: Path, **leader: Any) -> None:
    """Change who a start says it was."""
    content = json.loads(file.read_text())
    content["leader"] |= leader
    file.write_text(json.dumps(content))


async def kill_all_of(tmp_path: Path, key: str) -> None:
    """Kill supervisor, who stands behind it, and job together, as a power cut does."""
    supervisor = json.loads(record(tmp_path, key, "supervisor.json").read_text())["pid"]
    leader = json.loads(record(tmp_path, key, "start-1.json").read_text())["leader"]
    os.kill(parent_of(supervisor), signal.SIGKILL)
    os.kill(supervisor, signal.SIGKILL)
    os.killpg(leader["pid"], signal.SIGKILL)
    identity = processes.ProcessIdentity(**leader)
    await until(lambda: not processes.group_lives(identity), "the job is gone")


async def test_after_a_reboot_what_ran_has_failed(cluster: LocalCluster, tmp_path: Path) -> None:
    """Nobody knows how far it came: it is not started again, and its GPUs are free."""
    await cluster.submit(JobOrder("a", ENDLESS, "pool", 4))
    await kill_all_of(tmp_path, "a")
    change(record(tmp_path, "a", "start-1.json"), boot_id="an earlier one")
    job = await seen_as(cluster, "a", JobState.FAILED)
    assert (job.starts, job.gpus, job.exit_code) == (1, 0, None)
    assert "machine restarted" in job.reason


async def test_after_a_reboot_what_was_paused_goes_on(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    """A paused job needs no process to be remembered."""
    await cluster.submit(JobOrder("a", ENDLESS, "pool", 4))
    await cluster.suspend("a")
    await seen_as(cluster, "a", JobState.SUSPENDED)
    change(record(tmp_path, "a", "start-1.json"), boot_id="an earlier one")
    assert (await seen(cluster, "a")).state is JobState.SUSPENDED
    await cluster.resume(JobOrder("a", ENDLESS, "pool", 4))
    assert (await seen_as(cluster, "a", JobState.RUNNING)).starts == 2


async def test_a_number_given_again_is_not_the_job(
    cluster: LocalCluster, tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    """A process that has the job's number but not its start is neither adopted nor signalled."""
    await cluster.submit(JobOrder("a", ENDLESS, "pool", 1))
    await kill_all_of(tmp_path, "a")
    change(record(tmp_path, "a", "start-1.json"), pid=stranger.pid)
    await cluster.cancel("a")
    await seen_as(cluster, "a", JobState.CANCELLED)
    assert stranger.poll() is None


def test_signals_reach_nobody_else(stranger: subprocess.Popen[bytes]) -> None:
    """An identity whose start or boot differs is nobody's."""
    itself = processes.identify(stranger.pid)
    earlier = processes.ProcessIdentity(itself.pid, itself.start_ticks - 1, itself.boot_id)
    rebooted = processes.ProcessIdentity(itself.pid, itself.start_ticks, "an earlier one")
    for nobody in (earlier, rebooted):
        assert processes.find(nobody) is None
        assert not processes.group_lives(nobody)
        processes.signal_process(nobody, signal.SIGKILL)
        processes.signal_group(nobody, signal.SIGKILL)
    assert processes.find(itself) is not None
    assert stranger.poll() is None
    processes.signal_process(itself, signal.SIGKILL)
    assert stranger.wait(30) == -signal.SIGKILL
    processes.signal_process(itself, signal.SIGKILL)
