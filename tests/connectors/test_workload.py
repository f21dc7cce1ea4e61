"""The example workload on the local cluster: it saves, goes on, and follows its power cap."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.clusters.local.cluster import LocalCluster, LocalPool
from connectors.types import JobOrder, JobState
from tests.contracts.waiting import end_everything, seen_as

WORKLOAD = Path(__file__).parents[2] / "examples" / "workload.py"


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    """Two GPUs."""
    cluster = LocalCluster("local", tmp_path, [LocalPool("pool", 2)])
    yield cluster
    await end_everything(cluster)


def workload(key: str, seconds: float, power_cap_w: float | None = None) -> JobOrder:
    """Order so much work."""
    command = (sys.executable, str(WORKLOAD), str(seconds), "--step", "0.01")
    return JobOrder(key, command, "pool", 1, power_cap_w=power_cap_w)


async def lines_until(cluster: LocalCluster, key: str, start: str) -> list[str]:
    """Return the lines up to the first one that starts so."""
    lines = []
    async for line in cluster.logs(key, follow=True):
        lines.append(line)
        if line.startswith(start):
            return lines
    raise AssertionError(f"no line {start!r} in {lines}")


async def test_it_goes_on_where_it_was_stopped(cluster: LocalCluster) -> None:
    """Stopped in the middle, it starts there again and finishes the rest only."""
    await cluster.submit(workload("a", 2.5))
    await lines_until(cluster, "a", "10 %")
    await cluster.suspend("a")
    await seen_as(cluster, "a", JobState.SUSPENDED)
    stopped = (await lines_until(cluster, "a", "stopped at"))[-1]
    await cluster.resume(workload("a", 2.5))
    await seen_as(cluster, "a", JobState.SUCCEEDED)
    lines = [line async for line in cluster.logs("a")]
    goes_on = next(line for line in lines if "goes on at" in line)
    assert goes_on.split("goes on at ")[1].split()[0] == stopped.split()[2]
    assert sum(line.startswith("10 %") for line in lines) == 1
    assert lines[-1] == "finished"


async def test_it_follows_its_power_cap(cluster: LocalCluster) -> None:
    """A quarter of the power is 71 % of the speed; lifted as it runs, it is back at full speed."""
    await cluster.submit(workload("a", 3.0, power_cap_w=175.0))
    assert "10 % done at 71 % speed" in await lines_until(cluster, "a", "10 %")
    await cluster.set_power_cap("a", None)
    assert [line async for line in cluster.logs("a", follow=True) if "100 % speed" in line]
