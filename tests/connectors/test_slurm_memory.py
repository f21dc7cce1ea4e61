"""The folders of a Slurm cluster's jobs: what is kept of them, and what is cleared away."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from connectors.clusters.folders import on_files
from connectors.clusters.slurm.cluster import SlurmCluster
from connectors.clusters.slurm.config import SlurmConfig, SlurmPool
from connectors.clusters.slurm.folder import JobFolder
from connectors.clusters.slurm.memory import Finished, Memory
from connectors.clusters.slurm.standing import observation
from connectors.clusters.slurm.transport import SlurmJob, SlurmTransport
from connectors.errors import Unavailable
from connectors.types import JobOrder, JobState

ORDER = JobOrder("a", ("true",), "pool", 1)


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    """With one job, which failed."""
    (tmp_path / "jobs").mkdir()
    memory = Memory(tmp_path)
    memory.folder("a").create(ORDER)
    memory.folder("a").conclude(1, JobState.FAILED, "its node was lost")
    return memory


def test_a_failure_that_another_client_undid_meanwhile_is_not_kept(memory: Memory) -> None:
    """It was seen failed, then somebody had it go on, and only then is it kept as failed."""
    folder, finished = memory.folder("a"), Finished()
    wanted_at = folder.wanted_at()
    seen = observation(folder.read(), None)
    os.utime(folder.path / "wanted", ns=(wanted_at - 10**9, wanted_at - 10**9))
    wanted_at = folder.wanted_at()
    folder.want_run(2, replace(ORDER, after_starts=0))
    finished.keep(folder, wanted_at, seen)
    assert finished.get(folder, folder.wanted_at()) is None


def test_what_is_over_is_kept_while_nothing_else_is_wanted(memory: Memory) -> None:
    """Its folder is not read again."""
    folder, finished = memory.folder("a"), Finished()
    seen = observation(folder.read(), None)
    finished.keep(folder, folder.wanted_at(), seen)
    assert finished.get(folder, folder.wanted_at()) is seen


def test_what_was_never_a_job_is_cleared_away(memory: Memory, tmp_path: Path) -> None:
    """A creator died, or one that took its order back: neither folder is a job's."""
    for name in (".new-job-b-1-2", ".gone-job-c-3-4"):
        (tmp_path / "jobs" / name / "checkpoint").mkdir(parents=True)
    assert [folder.path.name for folder in memory.folders()] == ["job-a"]
    memory.drop_unfinished()
    assert [path.name for path in (tmp_path / "jobs").iterdir()] == ["job-a"]


async def test_files_that_are_away_make_a_cluster_unavailable(tmp_path: Path) -> None:
    """And nothing else: the dispatcher tries again."""

    class Cluster:
        name = "slurm"

        @on_files
        async def look(self, folder: JobFolder) -> int:
            return folder.wanted_at()

    with pytest.raises(Unavailable, match=r"cluster slurm: .*No such file"):
        await Cluster().look(JobFolder(tmp_path / "jobs" / "job-a"))


async def test_a_job_whose_records_are_gone_is_not_passed_over(
    memory: Memory, tmp_path: Path
) -> None:
    """It would look as if its cluster had never had it; one that was taken back is none."""

    class Idle:
        async def jobs(self) -> tuple[SlurmJob, ...]:
            return ()

        async def time(self) -> float:
            return time.time()

    config = SlurmConfig(tmp_path, (SlurmPool("pool", "gpu"),))
    cluster = SlurmCluster("slurm", config, cast("SlurmTransport", Idle()))
    assert [job.key for job in await cluster.observe()] == ["a"]
    (memory.folder("a").path / "order-1.json").unlink()
    with pytest.raises(Unavailable, match=r"order-1\.json"):
        await SlurmCluster("slurm", config, cast("SlurmTransport", Idle())).observe()
