"""A real Slurm is brought data to: by orders for no GPU, in a partition of their own."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.clusters.slurm.cluster import SlurmCluster
from connectors.clusters.slurm.config import SlurmPool
from connectors.types import JobOrder, JobState
from optimizer import Placement, Run
from scheduler.clusters import connect_cluster
from scheduler.db.models import JobStatus
from scheduler.db.session import make_engine, make_session_factory, transaction
from scheduler.services.dispatch import Dispatcher
from scheduler.services.outside import Outside
from scheduler.services.transfers import transfers_of
from scheduler.settings import Settings
from tests.contracts.waiting import end_everything, seen_as
from tests.peers.slurm import Slurm
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.play import HOUR
from tests.services.scene import Scene, put_in_force


@pytest.fixture
async def cluster(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SlurmCluster]:
    """A pool of one node, and a partition for orders without GPUs, as its site says."""
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    (tmp_path / "shared").mkdir()
    spec = {
        "kind": "slurm",
        "folder": str(tmp_path / "shared"),
        "pools": {"a100": {"partition": "one", "partition_without_gpus": "gpu"}},
    }
    (site,) = fleet_spec(site_spec(cluster=spec)).sites
    cluster = connect_cluster(Settings(state_dir=tmp_path), site)
    assert isinstance(cluster, SlurmCluster)
    yield cluster
    await end_everything(cluster)
    slurm.wait_until_idle()


def partition_of(key: str) -> str:
    """Where Slurm runs an order; those of tests before may be listed still."""
    listed = subprocess.run(["squeue", "--json"], capture_output=True, check=True)
    jobs = json.loads(listed.stdout)["jobs"]
    running = [job for job in jobs if "RUNNING" in job["job_state"]]
    return next(str(job["partition"]) for job in running if key in job["comment"])


async def test_orders_for_no_gpu_have_a_partition_of_their_own(cluster: SlurmCluster) -> None:
    """Others run in that of their pool."""
    for key, gpus in (("bring", 0), ("use", 1)):
        await cluster.submit(JobOrder(key, ("sleep", "600"), "a100", gpus))
        await seen_as(cluster, key, JobState.RUNNING)
    assert (partition_of("bring"), partition_of("use")) == ("gpu", "one")


def test_what_is_asked_for_with_gpus_is_not_asked_for_without() -> None:
    """Features, quality of service and reservation are those of nodes with GPUs."""
    pool = SlurmPool("a100", "one", None, ("nvlink",), "mine", "fast", "today")
    assert pool.serving(0) is pool
    split = SlurmPool("a100", "one", None, ("nvlink",), "mine", "fast", "today", None, None, "io")
    without = split.serving(0)
    assert (without.partition, without.features, without.account) == ("io", (), "mine")
    assert (without.qos, without.reservation) == (None, None)
    assert split.serving(1) is split


async def test_a_job_finds_its_data_on_slurm(
    cluster: SlurmCluster, sqlite_url: str, tmp_path: Path
) -> None:
    """Dispatched as planned: a folder is copied an hour before, and read by its job then."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "corpus").write_text("seven\n")
    engine = make_engine(sqlite_url)
    link = {"from_site": "FR", "to_site": "DE", "gb_per_hour": 10.0, "eur_per_gb": 0.5}
    sites = [site_spec(name, pools=[{"name": "a100", "gpus": 4}]) for name in ("DE", "FR")]
    scene = Scene(make_session_factory(engine)).set_up(fleet_spec(*sites, links=[link]))
    job = scene.submit(
        command=["sh", "-c", 'cat "$GRIDTIDE_DATA_DIR/corpus"'],
        data={
            "site": "FR",
            "size_gb": 10.0,
            "path": str(source),
            "command": ["sh", "-c", 'cp -r "$GRIDTIDE_DATA_PATH/." "$GRIDTIDE_DATA_DIR"'],
        },
    )
    put_in_force(scene, Placement("train", "DE", (Run("DE/a100x1", 1, 3),)))
    dispatcher = Dispatcher(scene.sessions, lambda _: Outside({"DE": cluster}), scene.now)
    scene.at = START
    await asyncio.to_thread(dispatcher.tick)
    await seen_as(cluster, f"data-{job}-DE", JobState.SUCCEEDED)
    await asyncio.to_thread(dispatcher.tick)
    with transaction(scene.sessions) as session:
        (transfer,) = transfers_of(session, [job])[job]
    assert (transfer.status, transfer.exit_code, transfer.eur) == (JobStatus.SUCCEEDED, 0, 5.0)
    assert scene.job(job).status is JobStatus.WAITING
    scene.at = START + HOUR
    await asyncio.to_thread(dispatcher.tick)
    await seen_as(cluster, str(job), JobState.SUCCEEDED)
    assert [line async for line in cluster.logs(str(job))] == ["seven"]
    engine.dispose()
