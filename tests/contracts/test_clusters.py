"""Every cluster passes the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from connectors.clusters.local.cluster import LocalCluster, LocalPool
from connectors.protocols import Cluster
from tests.contracts.cluster import GPUS, POOL, ClusterContract, Kept
from tests.contracts.waiting import end_everything


class TestLocalCluster(ClusterContract):
    """Process groups on this machine."""

    @pytest.fixture
    async def cluster(self, tmp_path: Path) -> AsyncIterator[Cluster]:
        """A cluster with an empty state folder."""
        cluster = LocalCluster("local", tmp_path, [LocalPool(POOL, GPUS)])
        yield cluster
        await end_everything(cluster)

    @pytest.fixture
    def same_cluster(self, tmp_path: Path) -> Cluster:
        """A second client of its state folder."""
        return LocalCluster("local", tmp_path, [LocalPool(POOL, GPUS)])

    @pytest.fixture
    def let_go(self, tmp_path: Path) -> Callable[[str], None]:
        """Create the file on this machine."""
        jobs = tmp_path / "jobs"
        return lambda key: (jobs / f"job-{key}" / "checkpoint" / "go").touch()

    @pytest.fixture
    def kept(self, tmp_path: Path) -> Kept:
        """Read the file on this machine."""
        jobs = tmp_path / "jobs"
        return lambda key, name: (jobs / f"job-{key}" / "checkpoint" / name).read_text()
