"""A scheduler to be killed: ``creator.py STATE_FOLDER RUNS_FOLDER KEY...`` submits these jobs.

Each job appends one line to a file of its name in ``RUNS_FOLDER``: the count of its lines is how
often it ran. It says ``ready`` before the first submission.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from connectors.clusters.local.cluster import LocalCluster, LocalPool
from connectors.types import JobOrder

POOL = "pool"


def make_cluster(state_folder: Path) -> LocalCluster:
    """Open the cluster that creators submit to."""
    return LocalCluster("local", state_folder, [LocalPool(POOL, 64)])


def order(runs_folder: Path, key: str) -> JobOrder:
    """Order a job that leaves one line for each time it runs."""
    return JobOrder(key, ("sh", "-c", f"echo ran >> '{runs_folder / key}'"), POOL, 1)


async def submit_all(state_folder: Path, runs_folder: Path, keys: list[str]) -> None:
    """Submit every key in turn."""
    cluster = make_cluster(state_folder)
    print("ready", flush=True)  # noqa: T201 - the test waits for it
    for key in keys:
        await cluster.submit(order(runs_folder, key))


if __name__ == "__main__":
    asyncio.run(submit_all(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
