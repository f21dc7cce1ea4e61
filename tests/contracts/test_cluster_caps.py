"""Clusters where somebody sets caps on GPUs pass the contract; Slurm beside what hooks it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.clusters.kubernetes.cluster import KubernetesCluster
from connectors.clusters.local.cluster import LocalCluster, LocalPool
from connectors.protocols import Cluster
from tests.contracts.cluster_power import CapsContract
from tests.contracts.orders import GPUS, POOL
from tests.contracts.waiting import end_everything
from tests.peers.node_agent import SCRIPT
from tests.peers.nvidia_smi import FakeGpus


@pytest.mark.usefixtures("gpus")
class TestLocalCaps(CapsContract):
    """The supervisor of each job calls the script."""

    @pytest.fixture
    def gpus(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGpus:
        """Those of this machine."""
        gpus = FakeGpus(tmp_path / "driver", GPUS)
        monkeypatch.setenv("PATH", f"{gpus.bin}:{os.environ['PATH']}")
        return gpus

    @pytest.fixture
    async def cluster(self, tmp_path: Path) -> AsyncIterator[Cluster]:
        """A cluster with an empty state folder."""
        cluster = LocalCluster(
            "local", tmp_path / "state", [LocalPool(POOL, GPUS)], power_cap_command=[str(SCRIPT)]
        )
        yield cluster
        await end_everything(cluster)


@pytest.mark.peer
@pytest.mark.usefixtures("node_agent")
class TestKubernetesCaps(CapsContract):
    """An agent on the node calls it."""

    @pytest.fixture
    def gpus(self, capped_gpus: FakeGpus) -> FakeGpus:
        """Those of the node."""
        return capped_gpus

    @pytest.fixture
    def cluster(self, capped_cluster: KubernetesCluster) -> Cluster:
        """A namespace that the node is for, and the agent there."""
        return capped_cluster
