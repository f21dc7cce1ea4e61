"""What a pass of the dispatcher takes of our own time, with 10,000 jobs known and 1,000 running.

``python -m benchmarks.dispatch_pass`` prints what is in RESULTS.md. For each connector: identity,
jobs and GPUs asked once, as a tick does, by a client that has asked before; what the cluster itself
takes is left out: answers of Slurm and Kubernetes are made up, and the processes of the local
cluster are this one. And the tick around it, with a database of as many jobs and a cluster that
answers at once.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import resource
import signal
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from benchmarks.api_of_many_jobs import NAMESPACE, serving
from benchmarks.wording import table
from connectors.clusters import durable
from connectors.clusters.kubernetes.cluster import (
    KubernetesCluster,
    KubernetesConfig,
    KubernetesPool,
)
from connectors.clusters.local.cluster import LocalCluster, LocalPool
from connectors.clusters.local.jobfolder import Assignment, JobFolder, Phase, Wanted
from connectors.clusters.local.processes import identify
from connectors.clusters.slurm.cluster import SlurmCluster
from connectors.clusters.slurm.config import SlurmConfig, SlurmPool
from connectors.clusters.slurm.folder import JobFolder as SlurmFolder
from connectors.clusters.slurm.transport import (
    JobAccount,
    NodePower,
    RunRef,
    SlurmJob,
    SlurmNode,
    Submission,
)
from connectors.protocols import Cluster
from connectors.types import JobObservation, JobOrder, JobState, PoolCapacity
from scheduler.cli.database import upgraded_sessions
from scheduler.db.models import JobStatus
from scheduler.db.session import transaction
from scheduler.services.dispatch import Dispatcher
from scheduler.services.fleet import replace_fleet
from scheduler.services.jobs import submit_job
from scheduler.services.outside import Outside
from scheduler.settings import Settings
from scheduler.specs import FleetSpec, JobSpec

KNOWN, RUNNING = 10_000, 1_000
POOL, SITE = "gpu", "here"
START = datetime(2021, 7, 5, tzinfo=UTC)
PASSES = 5


def main() -> None:
    """Measure all and print the table."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # the local cluster wakes supervisors: us
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4 * RUNNING), most))
    rows = [_local(), _slurm(), _kubernetes(), _tick()]
    head = ["Connector", "First pass [s]", "Pass, median [s]", "Calls of a pass"]
    print(table(head, rows))


def _local() -> list[str]:
    with TemporaryDirectory() as name:
        cluster = LocalCluster("local", Path(name), [LocalPool(POOL, KNOWN)])
        asyncio.run(cluster.identity())
        (Path(name) / "jobs").mkdir()
        me = identify(os.getpid())
        held = []
        for n in range(KNOWN):
            folder = JobFolder(Path(name) / "jobs" / f"job-{n}")
            wanted = Wanted(1, Phase.RUN, (n,))
            _quickly(lambda: folder.create(Assignment(_order(n), {}, None), wanted))  # noqa: B023
            _quickly(lambda: folder.write_start(1, me))  # noqa: B023
            if n >= RUNNING:
                _quickly(lambda: folder.write_final(JobState.SUCCEEDED, 0, ""))  # noqa: B023
                continue
            held.append(os.open(folder.path / "lock", os.O_RDWR | os.O_CREAT))
            fcntl.flock(held[-1], fcntl.LOCK_EX)
            _quickly(lambda: folder.write_supervisor(me))  # noqa: B023
        try:
            return ["local", *_passes(cluster), "0: files"]
        finally:
            for descriptor in held:
                os.close(descriptor)


class _Answers:
    """Implements ``SlurmTransport``: a cluster of 250 nodes of eight GPUs with all that runs."""

    def __init__(self, memory: str) -> None:
        self.calls = 0
        self._jobs = tuple(
            SlurmJob(n + 1, RunRef(memory, 1, str(n)), frozenset({"RUNNING"}), "None")
            for n in range(RUNNING)
        )
        self._nodes = tuple(
            SlurmNode(
                f"n{n}",
                frozenset({"MIXED"}),
                frozenset({POOL}),
                frozenset(),
                {"": 8},
                {"": RUNNING // 250},
            )
            for n in range(250)
        )

    async def jobs(self) -> tuple[SlurmJob, ...]:
        """All that run."""
        self.calls += 1
        return self._jobs

    async def nodes(self) -> tuple[SlurmNode, ...]:
        """All nodes."""
        self.calls += 1
        return self._nodes

    async def time(self) -> float:
        """As this machine's own."""
        self.calls += 1
        return time.time()

    async def node_power(self) -> dict[str, NodePower]:
        """Of none: nothing is measured there."""
        return {}

    async def accounts(self, job_ids: Collection[int]) -> tuple[JobAccount, ...]:
        """Refuse: a pass does not ask for the energy of jobs."""
        raise AssertionError(f"a pass asked for the accounts of {len(job_ids)} jobs")

    async def submit_held(self, submission: Submission) -> int:
        """Refuse: a pass that only looks has nothing submitted."""
        raise AssertionError(f"a pass had {submission} submitted")

    async def release(self, job_id: int) -> None:
        """Refuse: a pass that only looks has nothing released."""
        raise AssertionError(f"a pass had {job_id} released")

    async def cancel(self, job_id: int) -> None:
        """Refuse: a pass that only looks has nothing cancelled."""
        raise AssertionError(f"a pass had {job_id} cancelled")


def _slurm() -> list[str]:
    with TemporaryDirectory() as name:
        config = SlurmConfig(Path(name), (SlurmPool(POOL, POOL),))
        memory = asyncio.run(SlurmCluster("slurm", config, _Answers("")).identity())
        (Path(name) / "jobs").mkdir()
        began = datetime.now(UTC) - timedelta(hours=1)
        for n in range(KNOWN):
            folder = SlurmFolder(Path(name) / "jobs" / f"job-{n}")
            _quickly(lambda: folder.create(_order(n)))  # noqa: B023
            _quickly(lambda: folder.write_slurm_job(1, n + 1))  # noqa: B023
            (folder.path / "claim-1").symlink_to(str(n + 1))
            (folder.path / "start-1.0").write_text(f"{began.timestamp()} n{n % 250}\n")
            if n >= RUNNING:
                (folder.path / "end-1.0").write_text(f"{began.timestamp() + 60} exited 0\n")
        answers = _Answers(memory)
        cluster = SlurmCluster("slurm", config, answers)
        taken = _passes(cluster)
        return ["Slurm", *taken, str(answers.calls // (PASSES + 1))]


def _kubernetes() -> list[str]:
    pools = (KubernetesPool(POOL, image="none"),)
    orders = [_order(n) for n in range(KNOWN)]
    with TemporaryDirectory() as name:
        kubeconfig = Path(name) / "kubeconfig"
        config = KubernetesConfig(pools, kubeconfig=kubeconfig, namespace=NAMESPACE)
        with serving(config, orders, RUNNING) as server:
            kubeconfig.write_text(_kubeconfig(server.server_address[1]))
            cluster = KubernetesCluster("kubernetes", config)
            taken = _passes(cluster)
            before = cluster.requests
            _passes(cluster)
            asked = (cluster.requests - before) // (PASSES + 1)
            asyncio.run(cluster.close())
        return ["Kubernetes", *taken, str(asked)]


def _kubeconfig(port: int) -> str:
    config = {
        "clusters": [{"name": "it", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "it", "user": {}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "current-context": "it",
    }
    return json.dumps(config)


class _Told:
    """Implements what a tick asks of ``Cluster``: everything is as it was."""

    name = SITE

    def __init__(self, keys: list[str]) -> None:
        self._jobs = tuple(
            JobObservation(
                key=key,
                state=JobState.RUNNING,
                pool=POOL,
                gpus=1,
                power_cap_w=None,
                started_at=START,
                ended_at=None,
                exit_code=None,
                starts=1,
            )
            for key in keys
        )

    async def identity(self) -> str:
        """Name of its memory."""
        return "told"

    async def observe(self) -> tuple[JobObservation, ...]:
        """All that run."""
        return self._jobs

    async def clock_ahead_s(self) -> float | None:
        """As far as this machine's own."""
        return 0.0

    async def capacity(self) -> tuple[PoolCapacity, ...]:
        """One pool."""
        return (PoolCapacity(POOL, KNOWN, KNOWN, len(self._jobs)),)


def _tick() -> list[str]:
    """Time a tick with jobs that run and jobs that are over, when nothing has changed."""
    now = START + timedelta(minutes=1)
    fleet = FleetSpec.model_validate(
        {
            "sites": [
                {
                    "name": SITE,
                    "time_zone": "UTC",
                    "grid": {"import_limit_kw": 1e4},
                    "pools": [{"name": POOL, "gpus": KNOWN}],
                }
            ]
        }
    )
    with TemporaryDirectory() as name:
        sessions = upgraded_sessions(Settings(state_dir=Path(name)))
        with transaction(sessions) as session:
            replace_fleet(session, fleet, SITE, START)
            rows = [submit_job(session, _spec(n), SITE, START)[0] for n in range(KNOWN)]
            for n, row in enumerate(rows):
                is_running = n < RUNNING
                row.status = JobStatus.RUNNING if is_running else JobStatus.SUCCEEDED
                row.site, row.starts = SITE, 1
                row.started_at = row.work_seen_at = START
                row.ended_at = None if is_running else now
            keys = [str(row.id) for row in rows[:RUNNING]]
        outside = Outside({SITE: cast("Cluster", _Told(keys))})
        dispatcher = Dispatcher(sessions, lambda _: outside, lambda: now)
        taken = _timed(dispatcher.tick)
        return ["the tick around it", *taken, "–"]


def _spec(n: int) -> JobSpec:
    return JobSpec.model_validate(
        {
            "name": f"job-{n}",
            "work_hours": 2.0,
            "operating_points": [{"pool": POOL, "gpus": 1, "kw": 0.7}],
            "release_at": START,
            "deadline_at": START + timedelta(hours=24),
            "command": ["true"],
        }
    )


def _passes(cluster: Cluster) -> list[str]:
    """Return the seconds of a first pass, and of one like those that follow."""

    async def once() -> None:
        await cluster.identity()
        jobs = await cluster.observe()
        pools = await cluster.capacity()
        if len(jobs) != KNOWN or pools[0].gpus_in_use != RUNNING:
            raise RuntimeError(f"{len(jobs)} jobs on {pools[0].gpus_in_use} GPUs")

    return _timed(lambda: asyncio.run(once()))


def _timed(once: Callable[[], object]) -> list[str]:
    taken = []
    for _ in range(PASSES + 1):
        began = time.perf_counter()
        once()
        taken.append(time.perf_counter() - began)
    return [f"{taken[0]:.2f}", f"{sorted(taken[1:])[PASSES // 2]:.2f}"]


def _order(n: int) -> JobOrder:
    return JobOrder(str(n), ("true",), POOL, 1)


def _quickly(write: Callable[[], object]) -> None:
    """Write without waiting for the disk: this is only to be read."""
    real, durable.os.fsync = durable.os.fsync, lambda _descriptor: None  # type: ignore[attr-defined]
    try:
        write()
    finally:
        durable.os.fsync = real  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
