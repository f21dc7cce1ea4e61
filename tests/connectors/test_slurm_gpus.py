"""Which GPUs of a Slurm are free: beside others, on drained nodes, between grant and start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.clusters.slurm.cluster import SlurmCluster
from connectors.clusters.slurm.commands import SlurmCommands
from connectors.clusters.slurm.config import SlurmConfig, SlurmPool
from connectors.clusters.slurm.folder import JobFolder
from connectors.errors import GpusBusy, Rejected
from connectors.types import JobOrder, JobState
from tests.contracts.waiting import end_everything, seen_as
from tests.peers.slurm import Slurm

POOLS = (SlurmPool("one", "one"), SlurmPool("all", "gpu"))


@pytest.fixture
async def cluster(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SlurmCluster]:
    """A cluster without jobs: a pool of one node, and one of all four."""
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    config = SlurmConfig(tmp_path, POOLS, settle_s=1.0, lost_after_s=4.0)
    cluster = SlurmCluster("slurm", config, SlurmCommands())
    yield cluster
    await end_everything(cluster)
    slurm.wait_until_idle()


def endless(key: str, pool: str = "one", gpus: int = 1) -> JobOrder:
    """Order something that ends only when it is told to."""
    return JobOrder(key, ("sleep", "600"), pool, gpus)


async def test_what_others_run_is_counted_as_theirs(slurm: Slurm, cluster: SlurmCluster) -> None:
    """Their GPUs are in use and not ours; what does not fit beside them is busy."""
    other = slurm.run(
        "sbatch", "--parsable", "--partition=one", "--gres=gpu:3", "--wrap=sleep 600", "-o/dev/null"
    )
    try:
        for _ in range(100):
            one = next(pool for pool in await cluster.capacity() if pool.pool == "one")
            if one.gpus_in_use:
                break
            await asyncio.sleep(0.05)
        assert (one.gpus_total, one.gpus_in_use, one.gpus_of_others) == (4, 3, 3)
        with pytest.raises(GpusBusy, match=r"a: 2 GPUs of pool one, only 1 are free"):
            await cluster.submit(endless("a", gpus=2))
        await cluster.submit(endless("a", gpus=1))
        await seen_as(cluster, "a", JobState.RUNNING)
        one = next(pool for pool in await cluster.capacity() if pool.pool == "one")
        assert (one.gpus_in_use, one.gpus_of_others) == (4, 3)
        assert [job.key for job in await cluster.observe()] == ["a"]
    finally:
        slurm.run("scancel", other)


async def test_a_job_whose_start_is_not_on_record_yet_counts_once(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    """Its node has GPUs in use, and it is queued as far as its folder says: one and the same."""
    await cluster.submit(endless("a"))
    await seen_as(cluster, "a", JobState.RUNNING)
    (record,) = JobFolder(tmp_path / "jobs" / "job-a").path.glob("start-*")
    aside = record.rename(record.with_name("aside"))
    await cluster.submit(endless("b", gpus=3))
    aside.rename(record)
    await seen_as(cluster, "b", JobState.RUNNING)
    with pytest.raises(GpusBusy):
        await cluster.submit(endless("c"))


async def test_a_drained_node_offers_nothing_new(slurm: Slurm, cluster: SlurmCluster) -> None:
    """What runs there goes on and counts; the rest of it is not available."""
    await cluster.submit(endless("a", "all", 1))
    (node,) = (await seen_as(cluster, "a", JobState.RUNNING)).nodes
    slurm.run("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    try:
        pool = next(pool for pool in await cluster.capacity() if pool.pool == "all")
        assert (pool.gpus_total, pool.gpus_available, pool.gpus_in_use) == (16, 13, 1)
        with pytest.raises(GpusBusy):
            await cluster.submit(endless("b", "all", 16))
    finally:
        slurm.run("scontrol", "update", f"nodename={node}", "state=resume")


async def test_a_job_larger_than_a_node_takes_whole_nodes(cluster: SlurmCluster) -> None:
    """Eight GPUs are two nodes of four; six fit no whole number of them."""
    await cluster.submit(endless("a", "all", 8))
    job = await seen_as(cluster, "a", JobState.RUNNING)
    assert (len(set(job.nodes)), job.gpus) == (2, 8)
    pool = next(pool for pool in await cluster.capacity() if pool.pool == "all")
    assert pool.gpus_in_use == 8
    with pytest.raises(Rejected, match=r"gpus = 6, must be at most 4 or a multiple of it"):
        await cluster.submit(endless("b", "all", 6))
