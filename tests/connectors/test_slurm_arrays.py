"""Arrays that others run on a Slurm: whose GPUs are whose, in each release and both ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.clusters.slurm.cluster import SlurmCluster
from connectors.clusters.slurm.config import SlurmConfig, SlurmPool
from connectors.clusters.slurm.gpus import gpus_of
from connectors.clusters.slurm.rest import SlurmRest
from connectors.clusters.slurm.transport import RunRef, SlurmJob, SlurmTransport
from connectors.types import JobOrder, JobState, PoolCapacity
from scheduler.specs.array import tasks_of
from tests.contracts.waiting import end_everything, seen_as
from tests.peers.slurm import Slurm
from tests.peers.slurm_client import WAYS, speaking_to

POOL = SlurmPool("pool", "gpu", gres_type="a100")


@pytest.fixture(params=WAYS)
def transport(
    slurm: Slurm, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> SlurmTransport:
    """The two ways to speak to a real one."""
    return speaking_to(slurm, request.param, monkeypatch)


@pytest.fixture
async def cluster(
    slurm: Slurm, tmp_path: Path, transport: SlurmTransport
) -> AsyncIterator[SlurmCluster]:
    """A cluster without jobs; what a test leaves of others is ended."""
    config = SlurmConfig(tmp_path, (POOL,), settle_s=1.0, lost_after_s=4.0)
    cluster = SlurmCluster("slurm", config, transport)
    yield cluster
    await end_everything(cluster)
    slurm.run("scancel", "--user=root")
    slurm.wait_until_idle()


def order(key: str, gpus: int) -> JobOrder:
    """Order something that ends only when it is told to."""
    return JobOrder(key, ("sleep", "600"), "pool", gpus)


def submit_array(slurm: Slurm, tasks: str, gpus: int, comment: str = "") -> str:
    """Have somebody else submit an array; return its number."""
    options = [f"--array={tasks}", f"--gres=gpu:a100:{gpus}", f"--comment={comment}"]
    return slurm.run(
        "sbatch", "--parsable", "--partition=gpu", *options, "--wrap=sleep 600", "-o/dev/null"
    )


async def pool_with(cluster: SlurmCluster, of_others: int) -> PoolCapacity:
    """Look until others have so many GPUs."""
    for _ in range(200):
        (pool,) = await cluster.capacity()
        if pool.gpus_of_others == of_others:
            return pool
        await asyncio.sleep(0.1)
    raise AssertionError(pool)


class TestSlurm:
    """The release of the distribution; 16 GPUs on four nodes."""

    async def test_tasks_that_run_count_and_those_that_wait_do_not(
        self, slurm: Slurm, cluster: SlurmCluster, transport: SlurmTransport
    ) -> None:
        """A hundred tasks that wait are one record; each that runs has one, and two GPUs."""
        array = submit_array(slurm, "0-99%4", 2)
        pool = await pool_with(cluster, 8)
        assert (pool.gpus_total, pool.gpus_available, pool.gpus_in_use) == (16, 16, 8)
        rows = [row for row in await transport.jobs() if not row.is_over]
        assert sum(row.has_gpus for row in rows) == 4
        assert sum(not row.has_gpus for row in rows) == 1
        slurm.run("scancel", f"{array}_0", f"{array}_1")
        await pool_with(cluster, 8)  # two others take their places
        slurm.run("scancel", "--state=PENDING", array)
        slurm.run("scancel", f"{array}_2")
        await pool_with(cluster, 6)

    async def test_ours_beside_them_are_ours_alone(
        self, slurm: Slurm, cluster: SlurmCluster
    ) -> None:
        """None of theirs is reported as a job; all that is free beside them is taken."""
        submit_array(slurm, "1-9:4,20", 2)  # tasks 1, 5, 9 and 20
        await pool_with(cluster, 8)
        await cluster.submit(order("a", 4))
        await seen_as(cluster, "a", JobState.RUNNING)
        pool = await pool_with(cluster, 8)
        assert pool.gpus_in_use == 12
        assert [job.key for job in await cluster.observe()] == ["a"]

    async def test_a_task_of_an_array_of_ours_finds_its_index(self, cluster: SlurmCluster) -> None:
        """As a script for sbatch expects it, though to Slurm it is a job by itself."""
        (*_, task) = tasks_of("train", "0-6:2")
        words = " ".join(f"{name}=${name}" for name in sorted(task.environment))
        command = ("sh", "-c", f"echo {words}; srun sh -c 'echo $SLURM_ARRAY_TASK_ID'")
        await cluster.submit(JobOrder("a", command, "pool", 1, task.environment))
        await seen_as(cluster, "a", JobState.SUCCEEDED)
        told = " ".join(f"{name}={value}" for name, value in sorted(task.environment.items()))
        assert [line async for line in cluster.logs("a")] == [told, "6"]

    async def test_an_array_that_bears_our_comment_is_not_ours(
        self, slurm: Slurm, cluster: SlurmCluster, transport: SlurmTransport
    ) -> None:
        """A job of ours passed on what it was given: its array is left alone, waiting or not."""
        await cluster.submit(order("a", 4))
        await seen_as(cluster, "a", JobState.RUNNING)
        ours = RunRef(await cluster.identity(), 1, "a")
        array = submit_array(slurm, "0-9%2", 1, ours.comment)
        pool = await pool_with(cluster, 2)
        assert pool.gpus_in_use == 6
        assert [job.state for job in await cluster.observe()] == [JobState.RUNNING]
        await cluster.cancel("a")
        await seen_as(cluster, "a", JobState.CANCELLED)
        await cluster.observe()
        await pool_with(cluster, 2)
        refs = [row.ref for row in await transport.jobs() if row.ref is not None]
        assert ours in refs
        assert _n_live(await transport.jobs(), refs.count(ours)) == 3
        assert int(array) in {row.id for row in await transport.jobs()}


class TestDialects:
    """Every dialect that a release serves by REST says the same of an array."""

    dialects = (37, 38)

    async def test_all_say_the_same(self, slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
        """One record that waits and two that run, none of them ours; the GPUs of two in use."""
        commands = speaking_to(slurm, "commands", monkeypatch)
        array = submit_array(slurm, "0-9%2", 3, RunRef("memory", 1, "a").comment)
        try:
            for _ in range(200):
                rows = await live(commands)
                if sum(row.has_gpus for row in rows) == 2:
                    break
                await asyncio.sleep(0.1)
            assert [row.ref for row in rows] == [None] * 3
            for dialect in self.dialects:
                rest = SlurmRest(slurm.rest_url, "root", slurm.token)
                rest._versions["slurm"] = dialect
                assert await live(rest) == rows
                gpus = gpus_of(POOL, await rest.nodes())
                assert [one.used for one in gpus if one.used] in ([3, 3], [6])
        finally:
            slurm.run("scancel", array)
            slurm.wait_until_idle()


class TestCurrentDialects(TestDialects):
    """The same of a current release."""

    dialects = (40, 41, 42)

    @pytest.fixture
    def slurm(self, current_slurm: Slurm) -> Slurm:
        """The current one."""
        return current_slurm


async def live(transport: SlurmTransport) -> list[SlurmJob]:
    """Return the records that are not over, by their numbers."""
    return sorted((row for row in await transport.jobs() if not row.is_over), key=lambda r: r.id)


def _n_live(rows: tuple[SlurmJob, ...], ours: int) -> int:
    """How many records are not over, where one of all is ours."""
    assert ours == 1
    return sum(not row.is_over for row in rows)


class TestCurrentSlurm(TestSlurm):
    """The same of a current release."""

    @pytest.fixture
    def slurm(self, current_slurm: Slurm) -> Slurm:
        """The current one."""
        return current_slurm
