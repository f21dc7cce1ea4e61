"""Clocks that are apart: that of a whole Slurm from ours, that of a node set while a job runs."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from connectors.clusters.slurm.cluster import SlurmCluster
from connectors.clusters.slurm.config import SlurmConfig, SlurmPool
from connectors.clusters.slurm.folder import How, JobFolder, Phase
from connectors.types import JobOrder, JobState
from tests.contracts.orders import POOL, order
from tests.contracts.waiting import end_everything, printed, seen, seen_as
from tests.fixtures.slurm import skip_unless_slurm
from tests.peers import slurm as peer
from tests.peers.clocks import by_clock_of, set_clock
from tests.peers.processes import wait_until
from tests.peers.slurm import Slurm
from tests.peers.slurm_client import WAYS, speaking_to

SCRIPT = Path(__file__).parents[2] / "connectors" / "clusters" / "slurm" / "job.sh"
TEN_MINUTES_S = 600.0
LOST_AFTER_S = 6


@pytest.fixture(scope="module", params=[TEN_MINUTES_S, -TEN_MINUTES_S], ids=["ahead", "behind"])
def elsewhen(request: pytest.FixtureRequest) -> Iterator[Slurm]:
    """A whole Slurm, nodes and jobs included, whose clock is ten minutes from ours."""
    skip_unless_slurm()
    running = peer.start(n_nodes=1, clock_ahead_s=request.param)
    yield running
    running.stop()


@pytest.fixture
async def cluster(
    elsewhen: Slurm, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SlurmCluster]:
    """A cluster without jobs, that takes a run for lost after a few seconds."""
    config = SlurmConfig(
        tmp_path, (SlurmPool(POOL, "one"),), settle_s=1.0, lost_after_s=LOST_AFTER_S
    )
    cluster = SlurmCluster("slurm", config, speaking_to(elsewhen, way, monkeypatch))
    yield cluster
    await end_everything(cluster)
    elsewhen.wait_until_idle()


@pytest.mark.parametrize("way", WAYS)
async def test_how_far_its_clock_is_ahead_is_told(elsewhen: Slurm, cluster: SlurmCluster) -> None:
    """By commands and by REST, within a second or two."""
    assert await cluster.clock_ahead_s() == pytest.approx(elsewhen.clock_ahead_s, abs=2.0)


@pytest.mark.parametrize("way", WAYS)
async def test_jobs_are_started_once_paused_and_go_on(
    elsewhen: Slurm, cluster: SlurmCluster
) -> None:
    """None is taken for lost, though its records are of another time; those are by its clock."""
    script = (
        'if [ "$GRIDTIDE_IS_CONTINUATION" = 1 ]; then exit 0; fi;'
        " trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done"
    )
    began = datetime.now(UTC)
    await cluster.submit(order("a", script))
    await printed(cluster, "a", "up")
    lives_on_until = time.monotonic() + 2 * LOST_AFTER_S
    while time.monotonic() < lives_on_until:
        job = await seen(cluster, "a")
        assert (job.state, job.starts) == (JobState.RUNNING, 1)
    assert job.started_at is not None
    ahead_s = (job.started_at - began).total_seconds()
    assert ahead_s == pytest.approx(elsewhen.clock_ahead_s, abs=30.0)
    await cluster.suspend("a")
    assert (await seen_as(cluster, "a", JobState.SUSPENDED)).exit_code == 0
    await cluster.resume(order("a", script))
    assert (await seen_as(cluster, "a", JobState.SUCCEEDED)).starts == 2


class Node:
    """A node on which the script of one job runs, and whose clock can be set."""

    def __init__(self, folder: Path, script: str, grace_s: float, lost_after_s: int) -> None:
        (folder / "jobs").mkdir()
        self.job = JobFolder(folder / "jobs" / "job-a")
        self.job.create(JobOrder("a", ("sh", "-c", script), POOL, 1))
        self._clock = folder / "clock"
        self.set_clock(0.0)
        self._lost_after_s = lost_after_s
        words = [str(SCRIPT), str(self.job.path), "1", f"{grace_s * 1e3:.0f}", str(lost_after_s)]
        self.process = subprocess.Popen(
            [*by_clock_of(self._clock), "bash", *words],
            env=os.environ | {"SLURM_JOB_ID": "17", "SLURM_RESTART_COUNT": "0"},
        )

    def set_clock(self, ahead_s: float) -> None:
        """Set its clock."""
        set_clock(self._clock, ahead_s)

    def beats(self, times: int) -> None:
        """Wait until it has given so many signs of life."""
        for _ in range(times):
            is_new = partial(self._has_beaten_since, self._beat_ns())
            wait_until(is_new, "another beat", 3.0 * self._lost_after_s)

    def _has_beaten_since(self, beat_ns: int) -> bool:
        return self._beat_ns() != beat_ns

    def _beat_ns(self) -> int:
        beat = self.job.path / "beat-1.0"
        return beat.stat().st_mtime_ns if beat.exists() else 0


@pytest.fixture
def nodes() -> Iterator[list[Node]]:
    """Those of a test; what runs there is ended after it."""
    used: list[Node] = []
    yield used
    for node in used:
        node.job.want(Phase.CANCEL)
        node.process.wait(20)


@pytest.mark.parametrize("ahead_s", [TEN_MINUTES_S, -TEN_MINUTES_S])
def test_a_node_whose_clock_is_set_keeps_giving_signs_of_life(
    tmp_path: Path, nodes: list[Node], ahead_s: float
) -> None:
    """It goes by the time since its start: set back, it would be silent and end its own job."""
    node = Node(tmp_path, "exec sleep 600", grace_s=5.0, lost_after_s=8)
    nodes.append(node)
    node.beats(1)
    node.set_clock(ahead_s)
    node.beats(5)  # one in two seconds: for longer than it waits before it ends its own job
    records = node.job.read()
    assert (records.is_started, records.end) == (True, None)


@pytest.mark.parametrize("ahead_s", [TEN_MINUTES_S, -TEN_MINUTES_S])
def test_a_grace_lasts_as_long_as_it_says_though_the_clock_is_set(
    tmp_path: Path, nodes: list[Node], ahead_s: float
) -> None:
    """Set on, a job that saves would be killed at once."""
    script = "trap 'sleep 2; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    node = Node(tmp_path, script, grace_s=20.0, lost_after_s=60)
    nodes.append(node)
    wait_until(lambda: node.job.log.exists() and "up" in node.job.log.read_text(), "it is up")
    node.job.want(Phase.PAUSE)
    time.sleep(1.0)  # it has been told within half a second, and saves
    node.set_clock(ahead_s)
    began = time.monotonic()
    node.process.wait(40)
    end = node.job.read().end
    assert end is not None
    assert (end.how, end.exit_code) == (How.PAUSED, 0)
    assert time.monotonic() - began < 20.0
