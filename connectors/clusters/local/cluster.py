"""A cluster on this machine: every job is a real process group, every fact a file.

This object holds no truth of its own. Two of them on one folder, in one process or in two, see and
do the same; a kill at any instant leaves a folder from which the next call goes on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from connectors.clusters.folders import in_thread
from connectors.clusters.identity import FolderIdentity
from connectors.clusters.local import pools as gpus
from connectors.clusters.local.jobfolder import Assignment, Phase, Wanted
from connectors.clusters.local.jobs import Jobs
from connectors.clusters.local.pools import LocalPool
from connectors.clusters.local.processes import plain_environment
from connectors.clusters.local.standing import read_standing
from connectors.clusters.logs import lines
from connectors.clusters.measured import GpusThere, read_power
from connectors.clusters.orders import (
    may_go_on,
    refuse_bad_order,
    refuse_bad_power_cap,
    refuse_to_change_frozen,
)
from connectors.protocols import PowerSource
from connectors.types import (
    JobObservation,
    JobOrder,
    JobState,
    PoolCapacity,
    PowerReading,
    SuspendBy,
)

__all__ = ["LocalCluster", "LocalPool"]

_T = TypeVar("_T")


class LocalCluster:
    """Implements ``Cluster``.

    Parameters
    ----------
    state_folder
        Where the jobs live; one per cluster.
    pools
        GPUs of this machine, numbered through in this order.
    environment
        What every job gets beside its own; None passes on PATH, HOME, locale and the like.
    working_folder
        Where commands start; None gives each job a folder of its own.
    power_cap_command
        Sets caps on GPUs, as ``deploy/node/gridtide-power-cap`` does; empty: jobs read theirs.
    power_source
        Who measures the power of its GPUs; None models it.
    """

    def __init__(
        self,
        name: str,
        state_folder: Path,
        pools: Sequence[LocalPool],
        *,
        environment: Mapping[str, str] | None = None,
        working_folder: Path | None = None,
        power_cap_command: Sequence[str] = (),
        power_source: PowerSource | None = None,
    ) -> None:
        self.name = name
        self._power_cap_command = tuple(power_cap_command)
        self._power_source = power_source
        self._pools = tuple(pools)
        self._numbered = gpus.number_gpus(self._pools)
        self._gpus_total = {pool.name: pool.gpus for pool in self._pools}
        self._identity = FolderIdentity(state_folder.resolve())
        self._jobs = Jobs(state_folder.resolve())
        self._environment = plain_environment() if environment is None else dict(environment)
        self._working_folder = None if working_folder is None else str(working_folder.resolve())

    async def identity(self) -> str:
        """Name of the state folder, given at its first use."""
        return await in_thread(self.name, self._identity.read)

    async def capacity(self) -> tuple[PoolCapacity, ...]:
        """GPUs of every pool."""
        standings = await self._call(self._jobs.standings)
        return gpus.capacity(self._pools, standings)

    async def clock_ahead_s(self) -> float | None:
        """Not at all: it is the same clock."""
        return 0.0

    async def observe(self) -> tuple[JobObservation, ...]:
        """Every job ever given; one that a crash left half done is first seen to."""
        standings = await self._call(self._jobs.looked_after)
        return tuple(standing.observation() for standing in standings)

    async def submit(self, order: JobOrder) -> JobState:
        """Start ``order`` and return once it runs. A key already known changes nothing."""
        return await self._call(lambda: self._submit(order))

    async def suspend(self, key: str) -> None:
        """Pause a running job: SIGTERM with grace, then SIGKILL; or SIGSTOP, as its order says."""
        await self._call(lambda: self._suspend(key))

    async def resume(self, order: JobOrder) -> None:
        """Start the command of ``order`` as a continuation, or SIGCONT a frozen one."""
        await self._call(lambda: self._resume(order))

    async def cancel(self, key: str) -> None:
        """End a job for good: SIGTERM with its grace, then SIGKILL."""
        await self._call(lambda: self._cancel(key))

    async def set_power_cap(self, key: str, power_cap_w: float | None) -> None:
        """Write the cap where the job and its supervisor read it, and count its GPUs with it."""
        await self._call(lambda: self._set_power_cap(key, power_cap_w))

    async def power(self) -> PowerReading:
        """Power measured, or modelled from the GPUs at work and their caps."""
        standings = await self._call(self._jobs.standings)
        total = sum(self._gpus_total.values())
        modelled_kw = gpus.power_kw(self._pools, standings)
        return await read_power(self._power_source, GpusThere(total, total), modelled_kw)

    async def logs(self, key: str, *, follow: bool = False) -> AsyncIterator[str]:
        """Lines of stdout and stderr together, through all runs."""
        folder = await self._call(lambda: self._jobs.known(key))

        def is_over() -> bool:
            return not follow or folder.final() is not None

        async for line in lines(folder.log, is_over):
            yield line

    async def _call(self, action: Callable[[], _T]) -> _T:
        def on_the_same_folder() -> _T:
            self._identity.require_same()
            result = action()
            self._identity.require_same()  # it may have gone meanwhile, and the jobs with it
            return result

        return await in_thread(self.name, on_the_same_folder)

    def _submit(self, order: JobOrder) -> JobState:
        refuse_bad_order(order, self._gpus_total)
        folder = self._jobs.folder(order.key)
        with self._jobs.lock():
            if not folder.path.exists():
                self._jobs.drop_unfinished()
                indices = gpus.choose_gpus(order, self._numbered, self._jobs.standings())
                assignment = Assignment(
                    order, self._environment, self._working_folder, self._power_cap_command
                )
                folder.create(assignment, Wanted(1, Phase.RUN, indices))
        self._jobs.look_after(folder)
        return read_standing(folder).state

    def _suspend(self, key: str) -> None:
        folder = self._jobs.known(key)
        with self._jobs.lock():
            standing = read_standing(folder)
            if standing.needs_supervisor and standing.wanted.phase is Phase.RUN:
                folder.want(Phase.PAUSE)
        self._jobs.look_after(folder)

    def _resume(self, order: JobOrder) -> None:
        folder = self._jobs.known(order.key)
        refuse_bad_order(order, self._gpus_total)
        with self._jobs.lock():
            standing = read_standing(folder)
            if not may_go_on(order, standing.state, standing.starts):
                return
            if standing.final is not None or standing.pause is not None:
                indices = gpus.choose_gpus(order, self._numbered, self._jobs.standings())
                run = standing.wanted.run + 1
                folder.write_order(run, order)
                folder.write_power_cap(order.power_cap_w)
                folder.write_wanted(Wanted(run, Phase.RUN, indices))
            elif standing.order.suspend_by is SuspendBy.FREEZE:
                refuse_to_change_frozen(standing.order, order)
                folder.write_power_cap(order.power_cap_w)
                folder.want(Phase.RUN)
        self._jobs.look_after(folder)

    def _cancel(self, key: str) -> None:
        folder = self._jobs.known(key)
        with self._jobs.lock():
            if folder.final() is None:
                folder.want(Phase.CANCEL)
        self._jobs.look_after(folder)

    def _set_power_cap(self, key: str, power_cap_w: float | None) -> None:
        refuse_bad_power_cap(key, power_cap_w)
        folder = self._jobs.known(key)
        with self._jobs.lock():
            if folder.final() is None:
                folder.write_power_cap(power_cap_w)
