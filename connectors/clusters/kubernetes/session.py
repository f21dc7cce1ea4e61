"""One connection to a cluster: its watches, and what follows from them. Lives on one event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from connectors.clusters.kubernetes import names
from connectors.clusters.kubernetes.api import Api, NotFound, version_of
from connectors.clusters.kubernetes.config import KubernetesConfig
from connectors.clusters.kubernetes.gpus import PoolGpus, pool_gpus
from connectors.clusters.kubernetes.kueue import workload_view, workloads_path
from connectors.clusters.kubernetes.standing import Over, Standing, standings
from connectors.clusters.kubernetes.views import (
    NodeView,
    PodView,
    RunView,
    Seen,
    node_view,
    pod_view,
    run_view,
)
from connectors.clusters.kubernetes.watching import Watched
from connectors.errors import Unavailable

log = logging.getLogger(__name__)


class Session:
    """Reads and writes the objects of one namespace; answers from what it watches.

    Parameters
    ----------
    namespace
        Where our Jobs are.
    """

    def __init__(self, name: str, api: Api, namespace: str, config: KubernetesConfig) -> None:
        self.name = name
        self.api = api
        self.namespace = namespace
        self.config = config
        self.jobs_path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self.pods_path = f"/api/v1/namespaces/{namespace}/pods"
        self.choosing = asyncio.Lock()  # held while GPUs are counted and taken
        self.noted: dict[str, dict[str, Seen]] = {}
        self.changes = asyncio.Condition()
        self._resources = sorted({pool.resource for pool in config.pools})
        self._settled: set[str] = set()  # uids of runs that ended and whose pods are gone
        self._over = Over()
        self._written = 0
        self._tasks: dict[str, asyncio.Task[None]] = {}
        every_pod = "/api/v1/pods" if config.counts_others else self.pods_path
        ours = {"labelSelector": f"{names.MANAGED_BY}={names.OURS}"}
        self.jobs = Watched(api, self.jobs_path, run_view, self._changed, **ours)
        self.pods = Watched(api, every_pod, self._pod, self._changed)
        self.nodes: Watched[NodeView] = Watched(api, "/api/v1/nodes", node_view, self._changed)
        self.workloads_path = workloads_path(config, namespace)
        self.workloads = Watched(api, self.workloads_path, workload_view, self._changed)
        self._watches: Mapping[str, Watched[Any]] = {
            "jobs": self.jobs,
            "pods": self.pods,
            "nodes": self.nodes,
            **({"workloads": self.workloads} if config.uses_kueue else {}),
        }

    async def close(self) -> None:
        """End the watches and the connections."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self.api.close()

    async def identity(self) -> str:
        """Name of the memory: the namespace's uid, which no other ever has."""
        try:
            namespace = await self.api.get(f"/api/v1/namespaces/{self.namespace}")
        except NotFound as error:
            raise Unavailable(f"{self.name}: its namespace is gone: {error}") from error
        if "deletionTimestamp" in namespace["metadata"]:
            raise Unavailable(f"{self.name}: namespace {self.namespace} is being deleted")
        return f"{self.namespace}/{namespace['metadata']['uid']}"

    async def present(self) -> dict[str, Standing]:
        """Return where every job stands, with everything we wrote.

        Raises
        ------
        ConnectorError
            The cluster does not tell, or not up to what we wrote.
        """
        self.watch()
        limit_s = self.config.call_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                await self.jobs.reach(self._written)
                for watched in self._watches.values():
                    await watched.reach(0)
        except TimeoutError as error:
            raise Unavailable(
                f"{self.name}: its watch is not at the present within {limit_s:g} s"
            ) from error
        await self._settle()
        return self.standings()

    def standings(self) -> dict[str, Standing]:
        """Return where every job stands as far as it was told."""
        return standings(self.jobs.items, self.pods.items, self.noted, self._over)

    def pools(self, known: Mapping[str, Standing]) -> dict[str, PoolGpus]:
        """Return the GPUs of every pool as far as it was told."""
        pods = list(self.pods.items)
        nodes = list(self.nodes.items)
        return {pool.name: pool_gpus(pool, nodes, pods, known) for pool in self.config.pools}

    def wrote(self, answer: Mapping[str, Any]) -> RunView | None:
        """Have readers wait until the Job in ``answer`` is seen; return it."""
        self._written = max(self._written, version_of(answer["metadata"]))
        return run_view(answer)

    async def fresh_runs(self, key: str) -> list[RunView]:
        """Read every run of a job anew, those that are not released included."""
        jobs, _ = await self.api.list(self.jobs_path, labelSelector=names.selector(key))
        found = [view for job in jobs if (view := run_view(job)) is not None]
        return sorted((run for run in found if run.order.key == key), key=lambda run: run.number)

    async def fresh_pods(self, key: str) -> list[PodView]:
        """Read the pods of a job anew."""
        pods, _ = await self.api.list(self.pods_path, labelSelector=names.selector(key))
        self.pods.put(pods)
        return [view for pod in pods if (view := self._pod(pod)) is not None]

    async def fresh_standing(self, key: str) -> Standing | None:
        """Read anew where a job stands; None where it is not known."""
        runs = await self.fresh_runs(key)  # first: pods of a run that was put out are no more made
        pods = await self.fresh_pods(key)
        return standings(runs, pods, self.noted).get(key)

    def watch(self) -> None:
        """See to it that everything is watched."""
        for name, watched in self._watches.items():
            self.keep_going(name, watched.run)

    def keep_going(self, name: str, run: Any) -> None:
        """Have ``run`` go on in the background, and again where it broke."""
        task = self._tasks.get(name)
        if task is not None and task.done() and not task.cancelled():
            log.error("%s: %s broke", self.name, name, exc_info=task.exception())
        if task is None or task.done():
            self._tasks[name] = asyncio.create_task(run(), name=f"{self.name} {name}")

    def _pod(self, pod: Mapping[str, Any]) -> PodView | None:
        view = pod_view(pod, self.namespace, self._resources)
        if view is not None and view.run is not None and view.seen != Seen():
            self.noted.setdefault(view.run, {})[view.uid] = view.seen
        return view

    def _changed(self) -> None:
        async def tell() -> None:
            async with self.changes:
                self.changes.notify_all()

        self._tasks["tell"] = asyncio.create_task(tell())

    async def _settle(self) -> None:
        """Look for pods of runs that ended before the watch has told of any.

        Jobs and pods come over two connections, and the end of a quick run may come first.
        """
        for run in list(self.jobs.items):
            is_unknown = run.has_ended and run.seen == Seen() and run.name not in self.noted
            if is_unknown and run.wanted is not None and run.uid not in self._settled:
                await self.fresh_pods(run.order.key)
                self._settled.add(run.uid)
