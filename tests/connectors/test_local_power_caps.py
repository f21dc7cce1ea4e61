"""A local cluster that sets its caps: on the job's GPUs, while it runs, and not after."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.clusters import cap_command
from connectors.clusters.cap_command import DEFAULT, CapCommand
from connectors.clusters.local.cluster import LocalCluster, LocalPool
from connectors.clusters.local.jobfolder import Assignment, JobFolder, Phase, Wanted
from connectors.clusters.local.power_caps import PowerCap
from connectors.types import JobOrder, JobState
from tests.connectors.test_node_power_cap import SCRIPT
from tests.connectors.test_supervisor import SUPERVISOR
from tests.contracts.orders import POOL, endless, order
from tests.contracts.waiting import end_everything, seen_as, seen_capped
from tests.peers.nvidia_smi import FakeGpus
from tests.peers.processes import wait_until


@pytest.fixture
def gpus(tmp_path: Path) -> FakeGpus:
    """Those of this machine."""
    return FakeGpus(tmp_path / "driver")


@pytest.fixture
async def cluster(
    tmp_path: Path, gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LocalCluster]:
    """Four GPUs, and a command that may set them."""
    monkeypatch.setenv("PATH", f"{gpus.bin}:{os.environ['PATH']}")
    cluster = LocalCluster(
        "local", tmp_path / "state", [LocalPool(POOL, 4)], power_cap_command=[str(SCRIPT)]
    )
    yield cluster
    await end_everything(cluster)


async def test_a_cap_is_in_force_while_its_job_runs(cluster: LocalCluster, gpus: FakeGpus) -> None:
    """From before its command on, through every change, and given back before it has ended."""
    script = "nvidia-smi -i 1 --query-gpu=power.limit --format=csv,noheader,nounits; exec sleep 600"
    await cluster.submit(endless("other"))
    await cluster.submit(order("a", script, 2, power_cap_w=250.0))
    assert (await seen_capped(cluster, "a", 250.0)).power_cap_problem == ""
    assert gpus.limits() == [700.0, 250.0, 250.0, 700.0]
    assert await anext(cluster.logs("a", follow=True)) == "250.00"
    await cluster.set_power_cap("a", 180.5)
    await seen_capped(cluster, "a", 180.5)
    assert gpus.limits() == [700.0, 180.5, 180.5, 700.0]
    await cluster.set_power_cap("a", None)
    await seen_capped(cluster, "a", 700.0)
    await cluster.set_power_cap("a", 180.0)
    await seen_capped(cluster, "a", 180.0)
    await cluster.cancel("a")
    assert (await seen_as(cluster, "a", JobState.CANCELLED)).power_cap_in_force_w is None
    assert gpus.limits() == [700.0] * 4


async def test_a_refusal_is_seen_where_the_job_is(cluster: LocalCluster, gpus: FakeGpus) -> None:
    """In the words of the node, with what is in force instead."""
    await cluster.submit(endless("a", 1, power_cap_w=50.0))
    job = await seen_capped(cluster, "a", 700.0)
    assert job.power_cap_w == 50.0
    refused = "GPU 0: cap = 50 W, must be within [100.00, 700.00] W"
    assert job.power_cap_problem == f"this machine: {refused}"
    gpus.refuse("permission")
    await cluster.set_power_cap("a", 250.0)
    job = await seen_capped(cluster, "a", 700.0, "Insufficient Permissions")
    assert "700.00 W is read back" in job.power_cap_problem


async def test_gpus_are_given_back_when_a_job_pauses_or_ends_by_itself(
    cluster: LocalCluster, gpus: FakeGpus
) -> None:
    """And capped again when it goes on."""
    again = endless("a", 1, power_cap_w=250.0)
    await cluster.submit(again)
    await seen_capped(cluster, "a", 250.0)
    await cluster.suspend("a")
    job = await seen_as(cluster, "a", JobState.SUSPENDED)
    assert (job.power_cap_in_force_w, gpus.limit(0)) == (None, 700.0)
    await cluster.resume(replace(again, command=("true",), power_cap_w=180.0))
    await seen_as(cluster, "a", JobState.SUCCEEDED)
    assert gpus.limit(0) == 700.0
    assert "-i 0 -pl 180" in gpus.calls()


async def test_a_command_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The job runs all the same."""
    pools = [LocalPool(POOL, 4)]
    cluster = LocalCluster("local", tmp_path / "state", pools, power_cap_command=["/no/such"])
    await cluster.submit(endless("a", 1, power_cap_w=250.0))
    job = await seen_as(cluster, "a", JobState.RUNNING)
    assert "/no/such" in job.power_cap_problem
    assert job.power_cap_in_force_w is None
    await end_everything(cluster)


RUN = Wanted(1, Phase.RUN, (0,))


def folder_of(path: Path, script: str, command: str) -> JobFolder:
    """Return the folder of a job whose caps are set by a shell that runs ``command``."""
    folder = JobFolder(path / "job-a")
    order = JobOrder("a", ("/bin/sh", "-c", script), POOL, 1, power_cap_w=250.0)
    setting = ("/bin/sh", "-c", command)
    folder.create(Assignment(order, dict(os.environ), None, setting), RUN)
    return folder


def test_a_report_that_cannot_be_written_ends_no_supervisor(tmp_path: Path) -> None:
    """The job runs, its exit code is known, and the log says what is missing."""
    folder = folder_of(tmp_path, "exit 7", "echo 250.00")
    in_its_place = folder.path / "capped-1"
    in_its_place.mkdir()
    log = tmp_path / "supervisor.log"
    with log.open("w") as file:
        subprocess.run([*SUPERVISOR, str(folder.path)], check=True, timeout=30, stderr=file)
    wait_until(lambda: folder.final() is not None, "the job has ended")
    final = folder.final()
    assert final is not None
    assert (final.state, final.exit_code) == (JobState.FAILED, 7)
    assert "which cap is in force cannot be written" in log.read_text()
    assert not list(folder.path.glob(".capped-1.*"))


@pytest.fixture
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A command that never answers."""
    pids = tmp_path / "pids"
    monkeypatch.setattr(cap_command, "_ANSWER_S", 0.5)
    yield f"echo $$ >>{pids}; exec sleep 600"
    for pid in map(int, pids.read_text().split()):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_command_that_hangs_holds_up_nobody(
    tmp_path: Path, hanging: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is left alone after its time, told at the job, and not started beside itself."""
    folder = folder_of(tmp_path, "true", hanging)
    began = time.monotonic()
    cap = PowerCap(folder, RUN)
    cap.keep()
    report = folder.capped(1)
    assert report is not None
    assert (report.in_force_w, report.problem) == (None, "/bin/sh: no answer within 0.5 s")
    folder.write_power_cap(180.0)
    cap.keep()
    report = folder.capped(1)
    assert report is not None
    assert report.problem == "/bin/sh: still does not answer"
    PowerCap(folder, RUN).lift()
    assert time.monotonic() - began < 10
    assert "GPUs 0 may have kept their cap: - /bin/sh: no answer" in capfd.readouterr().err


def test_a_command_that_comes_late_is_waited_for_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has begun goes on whatever becomes of itself; the default must come after it."""
    monkeypatch.setattr(cap_command, "_ANSWER_S", 0.5)
    done = tmp_path / "done"
    slow = f"[ $2 = default ] && echo 700 && exit; (sleep 3; echo 250 >{done}) & wait"
    command = CapCommand(["/bin/sh", "-c", slow, "sh"])
    assert command.set("250", ["0"]) == "- /bin/sh: no answer within 0.5 s"
    said = command.set(DEFAULT, ["0"])
    assert (said, done.exists()) == ("- /bin/sh: still does not answer", False)
    wait_until(lambda: command.set(DEFAULT, ["0"]) == "700", "the next has its turn")
    assert done.exists()
