"""Energy of jobs from a real slurmdbd, which a real plugin measured: by sacct and by REST."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from connectors.clusters.slurm.accounts import SlurmAccounts
from connectors.clusters.slurm.cluster import SlurmCluster
from connectors.clusters.slurm.config import SlurmConfig, SlurmPool
from connectors.clusters.slurm.transport import JobAccount, SlurmTransport
from connectors.errors import Unavailable
from connectors.types import JobOrder, JobState, PowerScope, StartEnergy
from tests.contracts.waiting import end_everything, seen_as
from tests.peers import slurm_accounts
from tests.peers.slurm import Slurm
from tests.peers.slurm_client import WAYS, speaking_to

KWH_J = 3.6e6
NODE_CPUS = 64
# Every node has the job for itself: the job asks for all CPUs of each.
ALONE = SlurmPool("alone", "gpu", cpus_per_gpu=NODE_CPUS // 4)
BESIDE = SlurmPool("beside", "gpu", cpus_per_gpu=1)
JOULES_A_SECOND = 2_000


def order(key: str, script: str, pool: str = "alone", gpus: int = 4, **more: Any) -> JobOrder:
    """Order ``script`` for the shell."""
    return JobOrder(key, ("sh", "-c", script), pool, gpus, **more)


@pytest.fixture
def slurm(slurm_with_accounts: Slurm) -> Slurm:
    """The one that keeps accounts."""
    return slurm_with_accounts


@pytest.fixture(params=WAYS)
def transport(
    slurm: Slurm, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> SlurmTransport:
    """The two ways to speak to it."""
    return speaking_to(slurm, request.param, monkeypatch)


@pytest.fixture
async def cluster(
    slurm: Slurm, tmp_path: Path, transport: SlurmTransport
) -> AsyncIterator[SlurmCluster]:
    """A cluster without jobs."""
    config = SlurmConfig(tmp_path, (ALONE, BESIDE), settle_s=1.0, lost_after_s=4.0)
    cluster = SlurmCluster("slurm", config, transport)
    yield cluster
    await end_everything(cluster)
    slurm.wait_until_idle()


@pytest.fixture
def accounts(tmp_path: Path, transport: SlurmTransport) -> SlurmAccounts:
    """Its accounts, asked at once."""
    return SlurmAccounts("slurm", tmp_path, transport, settle_s=0.0)


@asynccontextmanager
async def drawing_power(slurm: Slurm) -> AsyncIterator[Callable[[], int]]:
    """Every node uses energy; gives what its counter stands at [J]."""
    began = time.monotonic()

    def joules() -> int:
        return 1_000_000 + int((time.monotonic() - began) * JOULES_A_SECOND)

    async def draw() -> None:
        while True:
            slurm_accounts.write_counter(slurm, joules())
            await asyncio.sleep(0.05)

    task = asyncio.create_task(draw())
    try:
        yield joules
    finally:
        task.cancel()


async def settled(accounts: SlurmAccounts, key: str, n_starts: int = 1) -> list[StartEnergy]:
    """Ask until all starts of a job are settled."""
    for _ in range(200):
        found = [one for one in await accounts.energy([key]) if one.key == key]
        if len(found) == n_starts:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"not settled: {found}")


async def test_a_job_that_had_its_nodes_alone_has_their_energy(
    slurm: Slurm, cluster: SlurmCluster, accounts: SlurmAccounts
) -> None:
    """Of both nodes, once, though a step that it started counted them as well."""
    async with drawing_power(slurm) as joules:
        before = joules()
        await cluster.submit(order("a", "sleep 1; srun --overlap sleep 2; sleep 1", gpus=8))
        await seen_as(cluster, "a", JobState.SUCCEEDED)
        (found,) = await settled(accounts, "a")
        most_kwh = 2 * (joules() - before) / KWH_J
    assert (found.source, found.scope, found.reason) == ("slurmdbd", PowerScope.NODES, "")
    assert found.kwh is not None
    assert 2 * 3 * JOULES_A_SECOND / KWH_J < found.kwh < most_kwh
    assert found.ended_at is not None
    assert 3 < (found.ended_at - found.started_at).total_seconds() < 12


async def test_every_start_has_its_own(
    slurm: Slurm, cluster: SlurmCluster, accounts: SlurmAccounts
) -> None:
    """Paused, resumed as another Slurm job, and requeued by Slurm, which keeps its number."""
    job = order("a", "trap 'exit 0' TERM; while :; do sleep 0.1; done", is_restartable=True)
    async with drawing_power(slurm):
        await cluster.submit(job)
        await seen_as(cluster, "a", JobState.RUNNING)
        await asyncio.sleep(2)
        await cluster.suspend("a")
        await seen_as(cluster, "a", JobState.SUSPENDED)
        (first,) = await settled(accounts, "a")
        await cluster.resume(job)
        await seen_as(cluster, "a", JobState.RUNNING)
        await asyncio.sleep(1)
        assert await accounts.energy(["a"]) == (first,)
        folder = cluster._memory.folder("a")
        slurm.run("scontrol", "requeue", str(folder.read().slurm_job))
        await seen_as(cluster, "a", JobState.QUEUED)
        await seen_as(cluster, "a", JobState.RUNNING)
        await cluster.cancel("a")
        await seen_as(cluster, "a", JobState.CANCELLED)
        found = await settled(accounts, "a", 3)
    assert [one.start for one in found] == [1, 2, 3]
    assert found[0] == first
    assert all(one.kwh is not None for one in found), found
    assert len({one.started_at for one in found}) == 3


async def test_a_job_that_shared_its_node_has_none_of_its_own(
    slurm: Slurm, cluster: SlurmCluster, accounts: SlurmAccounts
) -> None:
    """Slurm counts the node whole for each of those on it; of GPUs alone it does not."""
    async with drawing_power(slurm):
        await cluster.submit(order("a", "sleep 2", "beside", 1))
        await seen_as(cluster, "a", JobState.SUCCEEDED)
        (found,) = await settled(accounts, "a")
    assert found.kwh is None
    assert found.reason.endswith("it had 1 of 64 CPUs")
    of_gpus = SlurmAccounts(
        "slurm", accounts._memory._root, accounts._transport, PowerScope.GPUS, settle_s=0.0
    )
    (counted,) = await settled(of_gpus, "a")
    assert (counted.kwh is not None, counted.scope) == (True, PowerScope.GPUS)


@pytest.mark.parametrize("joules", [0, 0xFFFFFFFE, 2**64 - 2])
async def test_what_stands_for_nothing_is_no_energy(
    slurm: Slurm, cluster: SlurmCluster, accounts: SlurmAccounts, joules: int
) -> None:
    """As slurmdbd keeps it where a plugin told nothing, or a release reckoned with that."""
    await cluster.submit(order("a", "exit 0"))
    await seen_as(cluster, "a", JobState.SUCCEEDED)
    await settled(accounts, "a")
    for kept, kwh in ((3600, 0.001), (joules, None)):
        slurm_accounts.keep_energy(slurm, cluster._memory.folder("a").read().slurm_job, kept)
        (found,) = await accounts.energy(["a"])
        assert found.kwh == kwh
    assert "AcctGatherEnergyType" in found.reason


async def test_accounts_that_are_away_are_asked_later(
    slurm: Slurm, cluster: SlurmCluster, accounts: SlurmAccounts, transport: SlurmTransport
) -> None:
    """The job runs and ends meanwhile; its record comes late."""
    slurm_accounts.stop_slurmdbd(slurm)
    try:
        async with drawing_power(slurm):
            await cluster.submit(order("a", "sleep 2"))
            await seen_as(cluster, "a", JobState.SUCCEEDED)
        with pytest.raises(Unavailable):
            await accounts.energy(["a"])
    finally:
        slurm_accounts.start_slurmdbd(slurm)
    (found,) = await settled(accounts, "a")
    assert found.kwh is not None
    assert await transport.accounts([987654]) == ()


async def test_many_jobs_are_one_question(
    cluster: SlurmCluster, accounts: SlurmAccounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many: those that are not known here, or go on, are not asked for."""
    for key in ("a", "b"):
        await cluster.submit(order(key, "exit 0", "beside", 1))
        await seen_as(cluster, key, JobState.SUCCEEDED)
    await cluster.submit(order("c", "exec sleep 600", "beside", 1))
    await seen_as(cluster, "c", JobState.RUNNING)
    asked: list[int] = []
    ask = accounts._transport.accounts

    async def counted(job_ids: Any) -> tuple[JobAccount, ...]:
        asked.append(len(job_ids))
        return await ask(job_ids)

    monkeypatch.setattr(accounts._transport, "accounts", counted)
    await accounts.energy(["a", "b", "c", "unknown"])
    assert asked == [2]
    assert await accounts.energy(["unknown", "c"]) == ()
    assert asked == [2]
