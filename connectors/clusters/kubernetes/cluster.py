"""A Kubernetes cluster: every run of a job is a Job, and the Jobs are all that is remembered.

This object holds no truth of its own. Two of them on one namespace see and do the same.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from connectors.clusters.kubernetes import commands, gpus, keeping, logs
from connectors.clusters.kubernetes.api import Api
from connectors.clusters.kubernetes.config import (
    CheckpointVolume,
    KubernetesConfig,
    KubernetesPool,
    Toleration,
)
from connectors.clusters.kubernetes.credentials import connect, find_context
from connectors.clusters.kubernetes.own_loop import OwnLoop
from connectors.clusters.kubernetes.session import Session
from connectors.clusters.measured import GpusThere, read_power
from connectors.protocols import PowerSource
from connectors.types import JobObservation, JobOrder, JobState, PoolCapacity, PowerReading

__all__ = [
    "CheckpointVolume",
    "KubernetesCluster",
    "KubernetesConfig",
    "KubernetesPool",
    "Toleration",
]

T = TypeVar("T")


class KubernetesCluster:
    """Implements ``Cluster``. Its methods may be called from any event loop.

    Jobs cannot be frozen: an order to do so is refused. ``close`` ends its thread; so does its end.
    Its power is measured by ``power_source``; without one, modelled.
    """

    def __init__(
        self, name: str, config: KubernetesConfig, power_source: PowerSource | None = None
    ) -> None:
        self.name = name
        self._power_source = power_source
        self._config = config
        self._loop = OwnLoop(f"cluster {name}")
        self._current: Session | None = None
        weakref.finalize(self, self._loop.stop)

    @property
    def requests(self) -> int:
        """Requests made over the present connection."""
        return 0 if self._current is None else self._current.api.calls

    async def close(self) -> None:
        """End the connection."""
        await asyncio.to_thread(self._loop.stop)
        self._current = None

    async def identity(self) -> str:
        """Name of the namespace and its uid."""
        return await self._call(Session.identity)

    async def capacity(self) -> tuple[PoolCapacity, ...]:
        """GPUs of every pool, from what is watched."""

        async def count(session: Session) -> tuple[PoolCapacity, ...]:
            known = await session.present()
            return tuple(pool.capacity() for pool in session.pools(known).values())

        return await self._call(count)

    async def clock_ahead_s(self) -> float | None:
        """Return that of its API server, as it dates its answers."""

        async def ask(session: Session) -> float | None:
            if session.api.clock_ahead_s is None:
                await session.identity()
            return session.api.clock_ahead_s

        return await self._call(ask)

    async def observe(self) -> tuple[JobObservation, ...]:
        """Every job that was released once and is not forgotten, from what is watched."""

        async def look(session: Session) -> tuple[JobObservation, ...]:
            known = await session.present()
            lost = {node.name for node in session.nodes.items if not node.is_ready}
            queued = {one.job_uid: one.words for one in session.workloads.items}
            return tuple(standing.observation(lost, queued) for standing in known.values())

        return await self._call(look)

    async def submit(self, order: JobOrder) -> JobState:
        """Create the Job of the first run, and release it. A key already known changes nothing."""
        return await self._call(lambda session: commands.submit(session, order))

    async def suspend(self, key: str) -> None:
        """Suspend the Job: its pods get SIGTERM, and SIGKILL after the grace of the order."""
        await self._call(lambda session: commands.suspend(session, key))

    async def resume(self, order: JobOrder) -> None:
        """Create the Job of another run, and release it."""
        await self._call(lambda session: commands.resume(session, order))

    async def cancel(self, key: str) -> None:
        """Suspend the Job for good. It stays as memory of the job."""
        await self._call(lambda session: commands.cancel(session, key))

    async def set_power_cap(self, key: str, power_cap_w: float | None) -> None:
        """Note the cap on Job and pods, where an agent on the node and the job can read it."""
        await self._call(lambda session: commands.set_power_cap(session, key, power_cap_w))

    async def power(self) -> PowerReading:
        """Power measured, or modelled from the GPUs at work and their caps."""

        async def model(session: Session) -> tuple[GpusThere, float]:
            known = await session.present()
            pools = list(session.pools(known).values())
            jobs = [standing.observation(set(), {}) for standing in known.values()]
            return gpus.gpus_there(pools), gpus.power_kw(pools, jobs)

        there, modelled_kw = await self._call(model)
        return await read_power(self._power_source, there, modelled_kw)

    async def logs(self, key: str, *, follow: bool = False) -> AsyncIterator[str]:
        """Lines of all runs whose pods the cluster still has."""

        async def begin(session: Session) -> AsyncIterator[str]:
            return logs.lines(session, key, follow=follow)

        source = await self._call(begin)

        async def one_more() -> str | None:
            return await anext(source, None)

        try:
            while (line := await self._loop.run(one_more)) is not None:
                yield line
        finally:
            self._loop.start(source.aclose)  # type: ignore[attr-defined]

    async def _call(self, action: Callable[[Session], Awaitable[T]]) -> T:
        async def act() -> T:
            return await action(await self._session())

        return await self._loop.run(act)

    async def _session(self) -> Session:
        """Return the connection; a new one where our credentials were not accepted any more."""
        if self._current is not None and self._current.api.is_refused:
            await self._current.close()
            self._current = None
        if self._current is None:
            context = find_context(self._config)
            client = connect(context, self._config.call_timeout_s)
            api = Api(self.name, client, self._config.call_timeout_s)
            namespace = self._config.namespace or context.namespace
            session = Session(self.name, api, namespace, self._config)
            session.keep_going("keeping", lambda: _keep(session))
            self._loop.at_end(session.close)
            self._current = session
        return self._current


def _keep(session: Session) -> Coroutine[Any, Any, None]:
    return keeping.keep(session)
