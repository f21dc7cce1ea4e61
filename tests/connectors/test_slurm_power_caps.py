"""Power caps on a real Slurm: prolog, epilog and the service that follows, as the docs have it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from connectors.clusters.slurm.cluster import SlurmCluster
from connectors.clusters.slurm.commands import SlurmCommands
from connectors.clusters.slurm.config import SlurmConfig, SlurmPool
from tests.connectors.test_node_power_cap import SCRIPT
from tests.contracts.cluster_power import CapsContract
from tests.contracts.orders import POOL, endless
from tests.contracts.waiting import end_everything, seen_capped
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
    capping_slurm: peer.Slurm, gpus: FakeGpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SlurmCluster]:
    """A client of it."""
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, capping_slurm.environment[name])
    config = SlurmConfig(tmp_path, (SlurmPool(POOL, "one"),), settle_s=1.0)
    cluster = SlurmCluster("slurm", config, SlurmCommands())
    yield cluster
    gpus.refuse("")
    await end_everything(cluster)
    capping_slurm.wait_until_idle()


@pytest.mark.usefixtures("following")
class TestSlurmCaps(CapsContract):
    """The script is its prolog and its epilog, and a service that follows."""


async def test_the_epilog_has_restored_before_the_gpus_are_free(
    cluster: SlurmCluster, gpus: FakeGpus, capping_slurm: peer.Slurm
) -> None:
    """Without a service too: the next one finds no cap of the one before."""
    await cluster.submit(endless("a", 2, power_cap_w=250.0))
    await seen_capped(cluster, "a", 250.0)
    await cluster.cancel("a")
    capping_slurm.wait_until_idle()
    assert gpus.limits() == [700.0] * 4


async def test_a_refused_cap_drains_no_node(
    cluster: SlurmCluster, capping_slurm: peer.Slurm
) -> None:
    """The prolog ends well, and the job says which node refused it."""
    await cluster.submit(endless("a", 1, power_cap_w=50.0))
    job = await seen_capped(cluster, "a", 700.0)
    assert "n1: GPU" in job.power_cap_problem
    assert "drain" not in capping_slurm.run("sinfo", "--noheader", "--format=%T")
