"""Power caps on a real Slurm: prolog, epilog and the service that follows, as the docs have it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.clusters.slurm.cluster import SlurmCluster
from connectors.clusters.slurm.commands import SlurmCommands
from connectors.clusters.slurm.config import SlurmConfig, SlurmPool
from connectors.types import JobState
from tests.connectors.test_node_power_cap import SCRIPT
from tests.contracts.orders import POOL, endless
from tests.contracts.waiting import end_everything, seen_as, seen_capped
from tests.peers import slurm as peer
from tests.peers.nvidia_smi import FakeGpus

_HOOK = """#!/bin/sh
PATH={bin}:/usr/sbin:/usr/bin:/sbin:/bin RUNTIME_DIRECTORY={run} exec {script} {verb}
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what is installed on the node."""
    return tmp_path_factory.mktemp("node")


@pytest.fixture(scope="module")
def gpus(node: Path) -> FakeGpus:
    """Its GPUs."""
    return FakeGpus(node / "driver")


@pytest.fixture(scope="module", params=["installed", "current"])
def capping_slurm(
    request: pytest.FixtureRequest, node: Path, gpus: FakeGpus
) -> Iterator[peer.Slurm]:
    """A Slurm of one node, with a prolog and an epilog."""
    root = peer.current_root() if request.param == "current" else None
    if request.param == "current" and root is None:
        pytest.skip("a current Slurm is not installed (make peer-slurm): its tests are skipped")
    if reason := peer.why_not():
        pytest.skip(reason)
    script = node / "gridtide-power-cap"
    shutil.copy(SCRIPT, script)
    more = "PrologFlags=Alloc\n"
    for key, verb in (("Prolog", "prolog"), ("Epilog", "epilog")):
        hook = node / verb
        hook.write_text(_HOOK.format(bin=gpus.bin, run=node / "run", script=script, verb=verb))
        hook.chmod(0o755)
        more += f"{key}={hook}\n"
    slurm = peer.start(n_nodes=1, root=root, more_conf=more)
    yield slurm
    slurm.stop()


@pytest.fixture
def following(node: Path, gpus: FakeGpus, capping_slurm: peer.Slurm) -> Iterator[None]:
    """The service on the node."""
    environment = {
        "PATH": f"{gpus.bin}:{os.environ['PATH']}",
        "RUNTIME_DIRECTORY": str(node / "run"),
    }
    command = [str(node / "gridtide-power-cap"), "follow"]
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        yield
        os.killpg(process.pid, signal.SIGTERM)


@pytest.fixture
async def cluster(
    capping_slurm: peer.Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SlurmCluster]:
    """A client of it."""
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, capping_slurm.environment[name])
    config = SlurmConfig(tmp_path, (SlurmPool(POOL, "one"),), settle_s=1.0)
    cluster = SlurmCluster("slurm", config, SlurmCommands())
    yield cluster
    await end_everything(cluster)
    capping_slurm.wait_until_idle()


async def test_the_prolog_caps_and_the_epilog_restores(
    cluster: SlurmCluster, gpus: FakeGpus, capping_slurm: peer.Slurm
) -> None:
    """The GPUs that Slurm gave the job, and no others."""
    await cluster.submit(endless("other", 2))
    await seen_as(cluster, "other", JobState.RUNNING)
    await cluster.submit(endless("a", 2, power_cap_w=250.0))
    job = await seen_capped(cluster, "a", 250.0)
    assert (job.state, job.power_cap_problem) == (JobState.RUNNING, "")
    assert sorted(gpus.limits()) == [250.0, 250.0, 700.0, 700.0]
    assert (await seen_capped(cluster, "other", 700.0)).power_cap_w is None
    await cluster.cancel("a")
    job = await seen_as(cluster, "a", JobState.CANCELLED)
    assert (job.power_cap_in_force_w, job.power_cap_problem) == (None, "")
    await cluster.cancel("other")
    capping_slurm.wait_until_idle()
    assert gpus.limits() == [700.0] * 4


@pytest.mark.usefixtures("following")
async def test_a_cap_that_changes_is_followed_and_a_pause_ends_it(
    cluster: SlurmCluster, gpus: FakeGpus, capping_slurm: peer.Slurm
) -> None:
    """Each run of the job has the cap of its time."""
    again = endless("a", 4, power_cap_w=250.0)
    await cluster.submit(again)
    await seen_capped(cluster, "a", 250.0)
    await cluster.set_power_cap("a", 180.0)
    await seen_capped(cluster, "a", 180.0)
    assert gpus.limits() == [180.0] * 4
    await cluster.suspend("a")
    job = await seen_as(cluster, "a", JobState.SUSPENDED)
    assert job.power_cap_in_force_w is None
    capping_slurm.wait_until_idle()
    assert gpus.limits() == [700.0] * 4
    await cluster.resume(replace(again, power_cap_w=400.0))
    await seen_capped(cluster, "a", 400.0)
    assert gpus.limits() == [400.0] * 4


async def test_a_refused_cap_is_seen_and_the_job_runs(
    cluster: SlurmCluster, gpus: FakeGpus, capping_slurm: peer.Slurm
) -> None:
    """Its node is not drained for it."""
    await cluster.submit(endless("a", 1, power_cap_w=50.0))
    job = await seen_capped(cluster, "a", 700.0)
    assert job.state is JobState.RUNNING
    assert "n1: GPU" in job.power_cap_problem
    assert "cap = 50 W, must be within [100.00, 700.00] W" in job.power_cap_problem
    assert "drain" not in capping_slurm.run("sinfo", "--noheader", "--format=%T")
