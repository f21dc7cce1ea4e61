"""Every cluster passes the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from connectors.clusters.local.cluster import LocalCluster, LocalPool
from connectors.clusters.slurm.cluster import SlurmCluster
from connectors.clusters.slurm.config import SlurmConfig, SlurmPool
from connectors.clusters.slurm.transport import SlurmTransport
from connectors.protocols import Cluster
from connectors.types import SuspendBy
from tests.contracts.cluster import ClusterContract, Kept
from tests.contracts.orders import GPUS, POOL
from tests.contracts.power_source import Says
from tests.contracts.waiting import end_everything
from tests.peers.kubernetes import Place
from tests.peers.kubernetes_client import checkpoints, kubernetes_cluster
from tests.peers.slurm import Slurm
from tests.peers.slurm_client import WAYS, speaking_to


class InFolders:
    """Jobs whose checkpoints are folders that this machine sees."""

    @pytest.fixture
    def let_go(self, tmp_path: Path) -> Callable[[str], None]:
        """Create the file."""
        return lambda key: (checkpoint_folder(tmp_path, key) / "go").touch()

    @pytest.fixture
    def kept(self, tmp_path: Path) -> Kept:
        """Read the file."""
        return lambda key, name: (checkpoint_folder(tmp_path, key) / name).read_text()


def checkpoint_folder(state: Path, key: str) -> Path:
    """Where a job of a cluster that keeps its jobs in ``state`` has its checkpoints."""
    return state / "jobs" / f"job-{key}" / "checkpoint"


class TestLocalCluster(InFolders, ClusterContract):
    """Process groups on this machine."""

    @pytest.fixture
    async def cluster(self, tmp_path: Path) -> AsyncIterator[Cluster]:
        """A cluster with an empty state folder."""
        cluster = LocalCluster("local", tmp_path, [LocalPool(POOL, GPUS)])
        yield cluster
        await end_everything(cluster)

    @pytest.fixture
    def same_cluster(self, tmp_path: Path, meter: Says) -> Cluster:
        """A second client of its state folder."""
        return LocalCluster("local", tmp_path, [LocalPool(POOL, GPUS)], power_source=meter)


class TestSlurmCluster(InFolders, ClusterContract):
    """A real Slurm, by its commands and by REST."""

    @pytest.fixture(params=WAYS)
    def transport(
        self, slurm: Slurm, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> SlurmTransport:
        """The two ways to speak to it."""
        return speaking_to(slurm, request.param, monkeypatch)

    @pytest.fixture
    def config(self, tmp_path: Path) -> SlurmConfig:
        """One pool of one node, remembered in an empty folder."""
        return SlurmConfig(tmp_path, (SlurmPool(POOL, "one"),), settle_s=1.0)

    @pytest.fixture
    async def cluster(
        self, slurm: Slurm, config: SlurmConfig, transport: SlurmTransport
    ) -> AsyncIterator[Cluster]:
        """A cluster without jobs."""
        cluster = SlurmCluster("slurm", config, transport)
        yield cluster
        await end_everything(cluster)
        slurm.wait_until_idle()

    @pytest.fixture
    def same_cluster(self, config: SlurmConfig, transport: SlurmTransport, meter: Says) -> Cluster:
        """A second client of its folder."""
        return SlurmCluster("slurm", config, transport, meter)


class TestCurrentSlurmCluster(TestSlurmCluster):
    """The same against a current release, whose commands and REST speak otherwise."""

    @pytest.fixture
    def slurm(self, current_slurm: Slurm) -> Slurm:
        """The current one."""
        return current_slurm


@pytest.mark.peer
@pytest.mark.usefixtures("gpu_node")
class TestKubernetesCluster(ClusterContract):
    """A namespace of a real control plane, with a node whose kubelet is ours."""

    suspends_by = frozenset({SuspendBy.CHECKPOINT})

    @pytest.fixture
    async def cluster(self, place: Place) -> AsyncIterator[Cluster]:
        """A cluster with an empty namespace."""
        cluster = kubernetes_cluster(place, {"for": "everyone"})
        yield cluster
        await end_everything(cluster)
        await cluster.close()

    @pytest.fixture
    async def same_cluster(self, place: Place, meter: Says) -> AsyncIterator[Cluster]:
        """A second client of its namespace."""
        cluster = kubernetes_cluster(place, {"for": "everyone"}, meter)
        yield cluster
        await cluster.close()

    @pytest.fixture
    def let_go(self, place: Place) -> Callable[[str], None]:
        """Create the file in the folder that stands for the volume."""
        return lambda key: (checkpoints(place, key) / "go").touch()

    @pytest.fixture
    def kept(self, place: Place) -> Kept:
        """Read the file in the folder that stands for the volume."""
        return lambda key, name: (checkpoints(place, key) / name).read_text()
