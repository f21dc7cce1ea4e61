"""What a Slurm cluster does beyond the contract: crashes in between, others, and its own mind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.clusters.slurm.cluster import SlurmCluster
from connectors.clusters.slurm.commands import SlurmCommands
from connectors.clusters.slurm.config import SlurmConfig, SlurmPool
from connectors.clusters.slurm.folder import JobFolder
from connectors.clusters.slurm.transport import Submission
from connectors.errors import Rejected, Unavailable
from connectors.types import JobOrder, JobState
from tests.contracts.waiting import end_everything, seen, seen_as, until
from tests.peers.processes import lives, pids_where
from tests.peers.slurm import Slurm

ONE = SlurmPool("one", "one")
ALL = SlurmPool("all", "gpu")
URGENT = SlurmPool("urgent", "urgent")
RAN = 'echo ran >> "$GRIDTIDE_CHECKPOINT_DIR/runs"'


def order(key: str, script: str, pool: str = "one", gpus: int = 1, **more: Any) -> JobOrder:
    """Order ``script`` for the shell."""
    return JobOrder(key, ("sh", "-c", script), pool, gpus, **more)


def endless(key: str, pool: str = "one", gpus: int = 1, **more: Any) -> JobOrder:
    """Order something that ends only when it is told to."""
    return order(key, "exec sleep 600", pool, gpus, **more)


@pytest.fixture
def transport(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> SlurmCommands:
    """Its commands."""
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    return SlurmCommands()


@pytest.fixture
def config(tmp_path: Path) -> SlurmConfig:
    """Three pools on the same nodes; nothing is waited for long."""
    return SlurmConfig(tmp_path, (ONE, ALL, URGENT), settle_s=1.0, lost_after_s=4.0)


@pytest.fixture
async def cluster(
    slurm: Slurm, config: SlurmConfig, transport: SlurmCommands
) -> AsyncIterator[SlurmCluster]:
    """A cluster without jobs."""
    cluster = SlurmCluster("slurm", config, transport)
    yield cluster
    await end_everything(cluster)
    slurm.wait_until_idle()


def folder_of(config: SlurmConfig, key: str) -> JobFolder:
    """Where a job is kept."""
    return JobFolder(config.folder / "jobs" / f"job-{key}")


def runs_of(config: SlurmConfig, key: str) -> int:
    """How often its command ran, by its own count."""
    return len((folder_of(config, key).path / "checkpoint" / "runs").read_text().splitlines())


async def submission(cluster: SlurmCluster, config: SlurmConfig, key: str) -> Submission:
    """What the cluster would submit for the first run of a job it remembers."""
    records = folder_of(config, key).read()
    memory = await cluster.identity()
    return cluster._submission(folder_of(config, key), 1, records.order, memory, 1)


async def test_an_order_that_was_only_remembered_is_submitted(
    cluster: SlurmCluster, config: SlurmConfig
) -> None:
    """The scheduler died before it asked Slurm; whoever looks next does."""
    await cluster.identity()
    (config.folder / "jobs").mkdir()
    folder_of(config, "a").create(order("a", RAN))
    job = await seen_as(cluster, "a", JobState.SUCCEEDED)
    assert (job.starts, runs_of(config, "a")) == (1, 1)


async def test_an_order_slurm_has_and_nobody_noted_is_adopted(
    cluster: SlurmCluster, config: SlurmConfig, transport: SlurmCommands
) -> None:
    """The scheduler died before it heard the number: the held job is found and released."""
    await cluster.identity()
    (config.folder / "jobs").mkdir()
    folder_of(config, "a").create(order("a", RAN))
    job_id = await transport.submit_held(await submission(cluster, config, "a"))
    job = await seen_as(cluster, "a", JobState.SUCCEEDED)
    assert (job.starts, runs_of(config, "a")) == (1, 1)
    assert folder_of(config, "a").read().slurm_job == job_id
    assert folder_of(config, "a").read().claim == str(job_id)


async def test_two_slurm_jobs_of_one_run_run_it_once(
    cluster: SlurmCluster, config: SlurmConfig, transport: SlurmCommands
) -> None:
    """Each was released, as by two schedulers whose messages crossed: the claim decides."""
    await cluster.identity()
    (config.folder / "jobs").mkdir()
    folder_of(config, "a").create(order("a", f"{RAN}; sleep 1"))
    asked = await submission(cluster, config, "a")
    both = [await transport.submit_held(asked) for _ in range(2)]
    await asyncio.gather(*(transport.release(job_id) for job_id in both))
    job = await seen_as(cluster, "a", JobState.SUCCEEDED)
    assert (job.starts, runs_of(config, "a")) == (1, 1)


async def test_a_held_order_that_arrives_late_starts_nothing(
    cluster: SlurmCluster, config: SlurmConfig, transport: SlurmCommands
) -> None:
    """It waits for a release that nobody gives, and is cleared away."""
    await cluster.submit(order("a", RAN))
    await seen_as(cluster, "a", JobState.SUCCEEDED)
    late = await transport.submit_held(await submission(cluster, config, "a"))
    await cluster.observe()
    fresh = SlurmCluster("slurm", config, transport)
    await fresh.observe()
    rows = {job.id: job for job in await transport.jobs()}
    assert rows[late].is_over
    assert runs_of(config, "a") == 1


async def test_what_was_withdrawn_never_runs(
    cluster: SlurmCluster, config: SlurmConfig, transport: SlurmCommands
) -> None:
    """Cancelled while queued: its Slurm job is cleared away, and to release that starts nothing."""
    await cluster.submit(endless("full", gpus=4))
    await seen_as(cluster, "full", JobState.RUNNING)
    (config.folder / "jobs").mkdir(exist_ok=True)
    folder_of(config, "a").create(order("a", RAN))
    job_id = await transport.submit_held(await submission(cluster, config, "a"))
    await cluster.cancel("a")
    assert (await seen(cluster, "a")).state is JobState.CANCELLED
    await transport.release(job_id)
    await cluster.cancel("full")
    await seen_as(cluster, "full", JobState.CANCELLED)
    assert not (folder_of(config, "a").path / "checkpoint" / "runs").exists()


async def test_a_queued_job_says_what_it_waits_for_and_can_be_taken_out(
    slurm: Slurm, cluster: SlurmCluster
) -> None:
    """Others took the GPUs in between: it waits for resources, and is paused without a start."""
    await cluster.submit(endless("a", gpus=2))
    await seen_as(cluster, "a", JobState.RUNNING)
    await cluster.suspend("a")
    await seen_as(cluster, "a", JobState.SUSPENDED)
    short = SlurmPool("short", "short")
    config = replace(cluster._config, pools=(short,), time_limit_minutes=10)
    waiting = SlurmCluster("slurm", config, cluster._transport)
    await waiting.submit(endless("b", "short"))
    job = await seen(waiting, "b")
    assert (job.state, job.gpus, job.starts) == (JobState.QUEUED, 0, 0)
    assert "PartitionTimeLimit" in (await _seen_with_reason(waiting, "b"))
    await waiting.suspend("b")
    job = await seen(waiting, "b")
    assert (job.state, job.starts) == (JobState.SUSPENDED, 0)
    await waiting.cancel("b")
    assert (await seen(waiting, "b")).state is JobState.CANCELLED


async def _seen_with_reason(cluster: SlurmCluster, key: str) -> str:
    for _ in range(100):
        reason = (await seen(cluster, key)).reason
        if "Time" in reason:
            break
        await asyncio.sleep(0.1)
    return reason


async def test_what_slurm_refuses_is_not_remembered(
    config: SlurmConfig, transport: SlurmCommands
) -> None:
    """Its words come with the refusal, and the key is free again."""
    lost = replace(config, pools=(replace(ONE, reservation="nowhere"),))
    cluster = SlurmCluster("slurm", lost, transport)
    with pytest.raises(Rejected, match="reservation"):
        await cluster.submit(endless("a"))
    assert await cluster.observe() == ()


async def test_a_job_cancelled_on_the_cluster_is_cancelled(
    slurm: Slurm, cluster: SlurmCluster, config: SlurmConfig
) -> None:
    """By somebody else, while it ran: it got its SIGTERM, and the reason says who did not."""
    # It is told twice, by Slurm and by who looks after it, which may be while it is at it.
    once = f"trap 'trap : TERM; {RAN}; exit 0' TERM"
    await cluster.submit(order("a", f"{once}; echo up; while :; do sleep 0.05; done"))
    async for line in cluster.logs("a", follow=True):
        assert line == "up"
        break
    slurm.run("scancel", str(folder_of(config, "a").read().slurm_job))
    job = await seen_as(cluster, "a", JobState.CANCELLED)
    assert "cancelled on the cluster" in job.reason
    assert runs_of(config, "a") == 1


async def test_a_preempted_job_that_may_go_on_is_started_again_by_slurm(
    cluster: SlurmCluster, config: SlurmConfig
) -> None:
    """Others come first: it is told to leave, waits in the queue, and continues."""
    script = (
        'echo "$GRIDTIDE_IS_CONTINUATION" >> "$GRIDTIDE_CHECKPOINT_DIR/runs";'
        "trap 'exit 0' TERM; while :; do sleep 0.05; done"
    )
    await cluster.submit(order("a", script, "all", 4, is_restartable=True))
    await seen_as(cluster, "a", JobState.RUNNING)
    for n in range(4):
        await _take_a_node(cluster, f"urgent-{n}")
    await seen_as(cluster, "a", JobState.QUEUED)
    for n in range(4):
        await cluster.cancel(f"urgent-{n}")
    job = await seen_as(cluster, "a", JobState.RUNNING)
    assert job.starts == 2
    runs = folder_of(config, "a").path / "checkpoint" / "runs"
    await until(lambda: runs.read_text().split() == ["0", "1"], "it goes on as a continuation")


async def test_a_preempted_job_can_be_taken_out_of_the_queue(cluster: SlurmCluster) -> None:
    """Slurm would start it again; paused it waits for us, and goes on when it is resumed."""
    paused = endless("a", "all", 4, is_restartable=True)
    await cluster.submit(paused)
    await seen_as(cluster, "a", JobState.RUNNING)
    for n in range(4):
        await _take_a_node(cluster, f"urgent-{n}")
    await seen_as(cluster, "a", JobState.QUEUED)
    await cluster.suspend("a")
    assert (await seen_as(cluster, "a", JobState.SUSPENDED)).starts == 1
    for n in range(4):
        await cluster.cancel(f"urgent-{n}")
        await seen_as(cluster, f"urgent-{n}", JobState.CANCELLED)
    assert (await seen(cluster, "a")).state is JobState.SUSPENDED
    await cluster.resume(paused)
    assert (await seen_as(cluster, "a", JobState.RUNNING)).starts == 2


async def _take_a_node(cluster: SlurmCluster, key: str) -> None:
    """Run in the partition that comes first, whatever the GPUs that are free."""
    folder = cluster._memory.folder(key)
    wanted = endless(key, "urgent", 4)
    folder.create(wanted)
    await cluster.observe()
    await seen_as(cluster, key, JobState.RUNNING)


async def test_a_preempted_job_that_may_not_is_paused(cluster: SlurmCluster) -> None:
    """Slurm does not start it again; it is ours to resume."""
    await cluster.submit(endless("a", "all", 4))
    await seen_as(cluster, "a", JobState.RUNNING)
    for n in range(4):
        await _take_a_node(cluster, f"urgent-{n}")
    job = await seen_as(cluster, "a", JobState.SUSPENDED)
    assert "PREEMPTED" in job.reason
    for n in range(4):
        await cluster.cancel(f"urgent-{n}")
        await seen_as(cluster, f"urgent-{n}", JobState.CANCELLED)
    await cluster.resume(endless("a", "all", 4))
    assert (await seen_as(cluster, "a", JobState.RUNNING)).starts == 2


async def test_a_job_slurm_knows_nothing_of_counts_as_lost(
    cluster: SlurmCluster, config: SlurmConfig
) -> None:
    """It had begun, shows no sign of life, and nobody can say how it ended: never run again."""
    await cluster.identity()
    (config.folder / "jobs").mkdir()
    folder = folder_of(config, "a")
    folder.create(order("a", RAN))
    (folder.path / "claim-1").symlink_to("999999")
    (folder.path / "start-1.0").write_text("1700000000.5 n1\n")
    assert (await seen(cluster, "a")).state is JobState.RUNNING
    job = await seen_as(cluster, "a", JobState.FAILED)
    assert "Slurm knows it no more" in job.reason


async def test_a_node_that_is_cut_off_ends_what_srun_started(
    cluster: SlurmCluster, config: SlurmConfig
) -> None:
    """It is no child of the script, which may hang on a file system that is away."""
    step = "sh -c 'echo $$ > \"$GRIDTIDE_CHECKPOINT_DIR/step\"; exec sleep 600'"
    await cluster.submit(order("a", f"exec srun {step}"))
    file = folder_of(config, "a").path / "checkpoint" / "step"
    await until(lambda: file.exists() and file.read_text() != "", "the step runs")
    mark = b"\0" + os.fsencode(folder_of(config, "a").path) + b"\0"
    script = pids_where("cmdline", lambda said: b"/job-" in said and mark in said)[0]
    os.kill(script, signal.SIGSTOP)
    await until(lambda: not lives(int(file.read_text())), "the step is ended")
    os.kill(script, signal.SIGCONT)
    assert "could not reach" in (await seen_as(cluster, "a", JobState.SUSPENDED)).reason


async def test_without_a_controller_nothing_is_assumed(
    slurm: Slurm, cluster: SlurmCluster, config: SlurmConfig
) -> None:
    """Every call says it is not reachable; what runs goes on, and is seen again afterwards."""
    await cluster.submit(order("a", f"{RAN}; exec sleep 600"))
    await seen_as(cluster, "a", JobState.RUNNING)
    slurm.wait_until_saved()
    slurm.kill("slurmctld")
    try:
        impatient = SlurmCluster("slurm", config, SlurmCommands(answer_s=2.0))
        for call in (impatient.observe, impatient.capacity):
            with pytest.raises(Unavailable):
                await call()
        with pytest.raises(Unavailable):
            await impatient.submit(endless("b"))
    finally:
        slurm.start_controller()
    assert (await seen_as(cluster, "a", JobState.RUNNING)).starts == 1
    assert runs_of(config, "a") == 1


async def test_a_shared_folder_that_is_gone_is_not_an_empty_cluster(
    cluster: SlurmCluster, config: SlurmConfig
) -> None:
    """Its volume is not mounted: nothing is said about the jobs."""
    await cluster.submit(order("a", "exit 0"))
    await seen_as(cluster, "a", JobState.SUCCEEDED)
    away = config.folder.with_name("away")
    config.folder.rename(away)
    config.folder.mkdir()
    with pytest.raises(Unavailable, match="is not the folder it was"):
        await cluster.observe()
    shutil.rmtree(config.folder)
    away.rename(config.folder)
    assert (await seen(cluster, "a")).state is JobState.SUCCEEDED


async def test_the_scripts_of_jobs_see_nothing_of_the_schedulers_environment(
    cluster: SlurmCluster, config: SlurmConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its database's password is none of their business."""
    monkeypatch.setenv("GRIDTIDE_DATABASE_URL", "postgresql://secret")
    await cluster.submit(order("a", "env"))
    await seen_as(cluster, "a", JobState.SUCCEEDED)
    lines = "\n".join([line async for line in cluster.logs("a")])
    assert ("PATH=" in lines, "secret" in lines) == (True, False)
