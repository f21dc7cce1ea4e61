"""A node of Slurm that is lost with what it ran: seen as such, and gone on from elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from connectors.clusters.slurm.cluster import SlurmCluster
from connectors.clusters.slurm.commands import SlurmCommands
from connectors.clusters.slurm.config import SlurmConfig, SlurmPool
from connectors.types import JobObservation, JobOrder, JobState
from tests.contracts.waiting import end_everything, printed, seen, seen_as
from tests.fixtures.slurm import skip_unless_slurm
from tests.peers import slurm as peer
from tests.peers.processes import lives
from tests.peers.slurm import Slurm

COUNTS = """
echo "$GRIDTIDE_IS_CONTINUATION" >> "$GRIDTIDE_CHECKPOINT_DIR/runs"
echo up
exec sleep 600
"""
NOTICED_WITHIN_S = 120.0


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    """Two nodes; one that is silent for ten seconds is down."""
    skip_unless_slurm()
    running = peer.start(n_nodes=2, node_timeout_s=10)
    yield running
    running.stop()


@pytest.fixture
async def cluster(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SlurmCluster]:
    """A pool of both nodes."""
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    config = SlurmConfig(tmp_path, (SlurmPool("all", "gpu"),), settle_s=1.0, lost_after_s=4.0)
    cluster = SlurmCluster("slurm", config, SlurmCommands())
    yield cluster
    await end_everything(cluster)
    for node in slurm.nodes:
        if not lives(slurm.pid_of(f"slurmd-{node}") or 0):
            slurm.start_node(node)
    slurm.wait_until_idle()


async def lost_with_its_node(slurm: Slurm, cluster: SlurmCluster, order: JobOrder) -> str:
    """Run a job, and lose the node it is on; return the node."""
    await cluster.submit(order)
    (node,) = (await seen_as(cluster, order.key, JobState.RUNNING)).nodes
    await printed(cluster, order.key, "up")
    slurm.lose_node(node)
    return node


async def noticed(cluster: SlurmCluster, *states: JobState, starts: int = 1) -> JobObservation:
    """Return the job once Slurm has noticed, and it stands so."""
    give_up_at = time.monotonic() + NOTICED_WITHIN_S
    while True:
        job = await seen(cluster, "a")
        if job.state in states and job.starts == starts:
            return job
        assert time.monotonic() < give_up_at, job
        await asyncio.sleep(0.2)


async def test_a_job_that_may_not_go_on_by_itself_has_failed(
    slurm: Slurm, cluster: SlurmCluster
) -> None:
    """With the reason; the GPUs of the node are not there any more."""
    await lost_with_its_node(slurm, cluster, JobOrder("a", ("sh", "-c", COUNTS), "all", 4))
    job = await noticed(cluster, JobState.FAILED)
    assert "its node was lost" in job.reason
    (pool,) = await cluster.capacity()
    assert (pool.gpus_total, pool.gpus_available, pool.gpus_in_use) == (8, 4, 0)


async def test_a_job_that_may_goes_on_on_another_node_once(
    slurm: Slurm, cluster: SlurmCluster, tmp_path: Path
) -> None:
    """Slurm starts it again, as a continuation, and it runs once at a time."""
    order = JobOrder("a", ("sh", "-c", COUNTS), "all", 4, is_restartable=True)
    lost = await lost_with_its_node(slurm, cluster, order)
    job = await noticed(cluster, JobState.RUNNING, starts=2)
    (node,) = job.nodes
    assert node != lost
    runs = tmp_path / "jobs" / "job-a" / "checkpoint" / "runs"
    async with asyncio.timeout(NOTICED_WITHIN_S):
        while len(runs.read_text().split()) < 2:
            await asyncio.sleep(0.05)
    assert runs.read_text().split() == ["0", "1"]
