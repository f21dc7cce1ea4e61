"""A Slurm cluster: every run of a job is a Slurm job, and what is true of it is a file both see.

Slurm forgets jobs some minutes after their end, and knows no names that are given only once. So the
memory is a folder on a shared file system, and the script that runs there starts each run once,
whatever was sent twice, came late or got lost on the way.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from connectors.clocks import ForeignClock
from connectors.clusters.folders import in_thread, on_files
from connectors.clusters.logs import lines
from connectors.clusters.measured import GpusThere, read_power
from connectors.clusters.modelled import pool_power_kw
from connectors.clusters.orders import (
    may_go_on,
    refuse_bad_order,
    refuse_bad_power_cap,
    refuse_to_change_frozen,
)
from connectors.clusters.slurm.care import Care, needs_care, owner
from connectors.clusters.slurm.config import SlurmConfig
from connectors.clusters.slurm.folder import How, JobFolder, Phase, Records
from connectors.clusters.slurm.gpus import gpus_of, nodes_for, refuse_busy
from connectors.clusters.slurm.memory import Finished, Memory
from connectors.clusters.slurm.speech import job_name
from connectors.clusters.slurm.standing import holds_gpus, is_asleep, observation, state_of
from connectors.clusters.slurm.survey import (
    capacity_of,
    gpus_awaited,
    known,
    look,
    rows_by_key,
)
from connectors.clusters.slurm.transport import (
    RunRef,
    SlurmJob,
    SlurmNode,
    SlurmTransport,
    Submission,
)
from connectors.errors import GpusBusy, Rejected
from connectors.protocols import PowerSource
from connectors.types import (
    JobObservation,
    JobOrder,
    JobState,
    PoolCapacity,
    PowerReading,
    SuspendBy,
)


@dataclass(frozen=True, slots=True)
class Look:
    """The folder of a job, and what it says; or what was seen of a job that is over.

    ``wanted_at`` was read before: what another client wants meanwhile has another.
    """

    folder: JobFolder
    wanted_at: int
    records: Records | JobObservation


class SlurmCluster:
    """Implements ``Cluster``. Its power is measured by ``power_source``; without one, modelled."""

    def __init__(
        self,
        name: str,
        config: SlurmConfig,
        transport: SlurmTransport,
        power_source: PowerSource | None = None,
    ) -> None:
        self.name = name
        self._power_source = power_source
        self._config = config
        self._transport = transport
        self._memory = Memory(config.folder)
        self._care = Care(transport, config)
        self._over = Finished()
        self._clock = ForeignClock(transport.time)

    async def identity(self) -> str:
        """Name of the shared folder, given at its first use."""
        return await in_thread(self.name, self._memory.identity.read)

    @on_files
    async def capacity(self) -> tuple[PoolCapacity, ...]:
        """GPUs of every pool, as the nodes report them; those of queued orders are in use."""
        rows, nodes = await look(self._transport, await self._same_identity())
        jobs = known(await in_thread(self.name, self._open_records), rows)
        return tuple(capacity_of(pool, nodes, jobs) for pool in self._config.pools)

    async def clock_ahead_s(self) -> float | None:
        """Return that of its controller; nodes agree with it, or Slurm starts nothing on them."""
        return await self._clock.ahead_s()

    @on_files
    async def observe(self) -> tuple[JobObservation, ...]:
        """Every job ever given; one that a crash left half done is first seen to."""
        rows = rows_by_key(await self._transport.jobs(), await self._same_identity())
        looks = await in_thread(self.name, self._look_at_all)
        found = [await self._observe(look, rows) for look in looks]
        await self._same_identity()  # the folder may have gone meanwhile, and the jobs with it
        return tuple(found)

    @on_files
    async def submit(self, order: JobOrder) -> JobState:
        """Submit ``order`` held, and release it. A key already known changes nothing."""
        memory = await self._same_identity()
        nodes = await self._transport.nodes()
        n_nodes = self._layout(order, nodes)
        folder = self._memory.folder(order.key)
        if await self._remember(folder, order, memory, nodes, n_nodes):
            async with folder.lock():
                records = folder.read()
                if records.slurm_job is None and records.claim is None:  # nobody was faster
                    await self._begin(folder, self._submission(folder, 1, order, memory, n_nodes))
            return JobState.QUEUED
        rows = rows_by_key(await self._transport.jobs(), memory)
        return (await self._observe(self._look_at(folder), rows)).state

    @on_files
    async def suspend(self, key: str) -> None:
        """Pause a running job: SIGTERM with grace, then SIGKILL; or SIGSTOP, as its order says."""
        await self._same_identity()
        folder = self._memory.known(key)
        async with folder.lock():
            records = folder.read()
            if records.wanted.phase is not Phase.RUN or is_asleep(records, None):
                return
            is_frozen = records.order.suspend_by is SuspendBy.FREEZE
            folder.want(Phase.FREEZE if is_frozen else Phase.PAUSE)
            await self._withdraw(folder, records)

    @on_files
    async def resume(self, order: JobOrder) -> None:
        """Submit another run of a paused job, as a continuation, or let a frozen one go on."""
        memory = await self._same_identity()
        folder = self._memory.known(order.key)
        nodes = await self._transport.nodes()
        n_nodes = self._layout(order, nodes)
        async with self._memory.lock(), folder.lock():
            records = folder.read()
            if records.wanted.phase is Phase.FREEZE and holds_gpus(records, None):
                refuse_to_change_frozen(records.order, order)
                folder.write_power_cap(order.power_cap_w)
                folder.want(Phase.RUN)
            elif may_go_on(order, state_of(records, None), records.n_starts):
                await self._refuse_busy(order, memory, nodes, n_nodes)
                run = records.wanted.run + 1
                folder.want_run(run, order)
                await self._begin(folder, self._submission(folder, run, order, memory, n_nodes))

    @on_files
    async def cancel(self, key: str) -> None:
        """End a job for good: SIGTERM with its grace, then SIGKILL."""
        await self._same_identity()
        folder = self._memory.known(key)
        async with folder.lock():
            records = folder.read()
            if state_of(records, None).is_final:
                return
            folder.want(Phase.CANCEL)
            await self._withdraw(folder, records)

    @on_files
    async def set_power_cap(self, key: str, power_cap_w: float | None) -> None:
        """Write the cap to the file the job and its node may read."""
        refuse_bad_power_cap(key, power_cap_w)
        await self._same_identity()
        folder = self._memory.known(key)
        async with folder.lock():
            if not state_of(folder.read(), None).is_final:
                folder.write_power_cap(power_cap_w)

    async def power(self) -> PowerReading:
        """Power measured, or modelled from the GPUs at work and their caps."""
        rows, nodes = await look(self._transport, await self._same_identity())
        jobs = known(await in_thread(self.name, self._open_records), rows)
        seen = [observation(job.records, job.row) for job in jobs]
        pools = self._config.pools
        gpus = [capacity_of(pool, nodes, jobs) for pool in pools]
        kw = sum(
            pool_power_kw(pool.name, one.gpus_total, pool.kw_per_gpu, pool.idle_kw_per_gpu, seen)
            for pool, one in zip(pools, gpus, strict=True)
        )
        there = GpusThere(
            sum(one.gpus_available for one in gpus), sum(one.gpus_total for one in gpus)
        )
        return await read_power(self._power_source, there, kw)

    async def logs(self, key: str, *, follow: bool = False) -> AsyncIterator[str]:
        """Lines of stdout and stderr together, through all runs."""
        await self._same_identity()
        folder = self._memory.known(key)

        def is_over() -> bool:
            return not follow or state_of(folder.read(), None).is_final

        async for line in lines(folder.log, is_over):
            yield line

    async def _observe(self, look: Look, rows: dict[str, list[SlurmJob]]) -> JobObservation:
        folder, records = look.folder, look.records
        if isinstance(records, JobObservation):
            return records
        own_rows = rows.get(records.order.key, [])
        if needs_care(records, own_rows):
            await self._tend(folder, rows)
            records = await in_thread(self.name, folder.read)
        row = owner(records, own_rows)
        seen = observation(records, row)
        if seen.state.is_final and all(one.is_over for one in own_rows):
            self._over.keep(folder, look.wanted_at, seen)
        return seen

    def _look_at_all(self) -> list[Look]:
        """Read the folders of all jobs; one that went meanwhile was never a job."""
        looks = []
        for folder in self._memory.folders():
            try:
                looks.append(self._look_at(folder))
            except FileNotFoundError:
                if folder.path.exists():
                    raise  # a record is missing: nothing is to be said of the jobs
        return looks

    def _look_at(self, folder: JobFolder) -> Look:
        wanted_at = folder.wanted_at()
        return Look(folder, wanted_at, self._over.get(folder, wanted_at) or folder.read())

    async def _tend(self, folder: JobFolder, rows: dict[str, list[SlurmJob]]) -> None:
        async def submission(records: Records) -> Submission:
            n_nodes = self._layout(records.order, await self._transport.nodes())
            memory = await self.identity()
            return self._submission(folder, records.wanted.run, records.order, memory, n_nodes)

        async with folder.lock():
            key = folder.read().order.key
            try:
                await self._care.tend(folder, rows.get(key, ()), submission)
            except GpusBusy:
                return  # a limit on what may be submitted: later
            except Rejected as error:
                self._care.give_up(folder, f"Slurm refused it: {error}")

    async def _begin(self, folder: JobFolder, submission: Submission) -> None:
        """Submit; what Slurm refuses is as if it had never been asked for."""
        try:
            await self._care.begin(folder, submission)
        except Rejected:
            folder.take_back(submission.ref.run)
            raise

    async def _withdraw(self, folder: JobFolder, records: Records) -> None:
        """Take a run out of the queue that has not begun, or that Slurm would start again."""
        if records.end is not None and records.end.how is How.EVICTED and records.claim is not None:
            await self._transport.cancel(int(records.claim))
        is_withdrawn = records.claim is None and folder.withdraw(records.wanted.run)
        if is_withdrawn and records.slurm_job is not None:
            await self._transport.cancel(records.slurm_job)

    async def _remember(
        self,
        folder: JobFolder,
        order: JobOrder,
        memory: str,
        nodes: Sequence[SlurmNode],
        n_nodes: int,
    ) -> bool:
        """Make the folder of a job; False where there is one. ``GpusBusy`` where none are free."""
        if folder.path.exists():
            return False
        async with self._memory.lock():
            if folder.path.exists():
                return False
            await self._refuse_busy(order, memory, nodes, n_nodes)
            self._memory.drop_unfinished()
            folder.create(order)
            return True

    def _layout(self, order: JobOrder, nodes: Sequence[SlurmNode]) -> int:
        """Return how many nodes ``order`` takes; ``Rejected`` where it can never be run."""
        gpus = {pool.name: gpus_of(pool, nodes) for pool in self._config.pools}
        refuse_bad_order(order, {name: sum(g.total for g in some) for name, some in gpus.items()})
        n_nodes = nodes_for(order, gpus[order.pool])
        if n_nodes > 1 and order.suspend_by is SuspendBy.FREEZE:
            raise Rejected(
                f"job {order.key}: suspend_by = 'freeze', must be 'checkpoint' on {n_nodes} nodes:"
                " only what runs on the first is held"
            )
        return n_nodes

    async def _refuse_busy(
        self, order: JobOrder, memory: str, nodes: Sequence[SlurmNode], n_nodes: int
    ) -> None:
        pool = self._config.pool(order.pool)
        queued = gpus_awaited(pool, known(self._open_records(), {}))
        try:
            refuse_busy(order, gpus_of(pool, nodes), n_nodes, queued)
        except GpusBusy:
            if queued == 0:
                raise
            # A job that Slurm gave GPUs counts twice until the record of its start is seen here.
            rows, nodes = await look(self._transport, memory)
            queued = gpus_awaited(pool, known(self._open_records(), rows))
            refuse_busy(order, gpus_of(pool, nodes), n_nodes, queued)

    def _open_records(self) -> list[Records]:
        """Read the folders of all jobs but those known to be over."""
        found = (look.records for look in self._look_at_all())
        return [records for records in found if isinstance(records, Records)]

    def _submission(
        self, folder: JobFolder, run: int, order: JobOrder, memory: str, n_nodes: int
    ) -> Submission:
        pool = self._config.pool(order.pool).serving(order.gpus)
        each = order.gpus // n_nodes
        kind = "" if pool.gres_type is None else f"{pool.gres_type}:"
        grace_ms = math.ceil(order.checkpoint_grace_s * 1e3)
        lost_after_s = math.ceil(self._config.lost_after_s)
        words = [self._memory.script(), folder.path, run, grace_ms, lost_after_s]
        return Submission(
            name=job_name(order, run),
            ref=RunRef(memory, run, order.key),
            script=f"#!/bin/bash\nexec bash {shlex.join(map(str, words))}\n",
            folder=str(folder.path),
            output=str(folder.path / "node.log"),
            partition=pool.partition,
            nodes=n_nodes,
            gres=f"gpu:{kind}{each}" if each else None,
            features=pool.features,
            account=self._config.accounts.get(order.tenant, pool.account),
            qos=pool.qos,
            reservation=pool.reservation,
            cpus=None if pool.cpus_per_gpu is None else pool.cpus_per_gpu * max(1, each),
            memory_mb=None
            if pool.memory_mb_per_gpu is None
            else pool.memory_mb_per_gpu * max(1, each),
            time_limit_minutes=self._config.time_limit_minutes,
            is_requeued=order.is_restartable,
        )

    async def _same_identity(self) -> str:
        await in_thread(self.name, self._memory.identity.require_same)
        return await self.identity()
