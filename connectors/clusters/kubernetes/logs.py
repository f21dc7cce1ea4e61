"""What jobs wrote, as far as the cluster still has it: a pod's log goes with the pod."""

from __future__ import annotations

from collections.abc import AsyncIterator

from connectors.clusters.kubernetes import names
from connectors.clusters.kubernetes.api import NotFound
from connectors.clusters.kubernetes.session import Session
from connectors.clusters.kubernetes.standing import Standing
from connectors.clusters.kubernetes.views import PodView
from connectors.errors import Rejected

_SILENT_AT_MOST_S = 60.0


async def lines(session: Session, key: str, *, follow: bool) -> AsyncIterator[str]:
    """Yield the lines of all runs; the parts of a run on several nodes come one after another."""
    read: set[str] = set()
    if follow:
        session.watch()
    while True:
        standing = await session.fresh_standing(key)
        if standing is None:
            raise Rejected(f"job {key}: not known here")
        for pod in await _started(session, key, standing):
            if pod.uid not in read:
                async for line in _of_pod(session, pod, follow=follow):
                    yield line
                read.add(pod.uid)
        if not follow or standing.state.is_final:
            return
        async with session.changes:
            await session.changes.wait()


async def _started(session: Session, key: str, standing: Standing) -> list[PodView]:
    order = {run.name: run.number for run in standing.runs}
    pods = await session.fresh_pods(key)
    started = [pod for pod in pods if pod.seen.started_at is not None and pod.run in order]
    return sorted(started, key=lambda pod: (order[pod.run or ""], pod.index, pod.created_at))


async def _of_pod(session: Session, pod: PodView, *, follow: bool) -> AsyncIterator[str]:
    query = {"container": names.CONTAINER} | ({"follow": "true"} if follow else {})
    silent_s = None if follow else _SILENT_AT_MOST_S
    path = f"{session.pods_path}/{pod.name}/log"
    try:
        async with session.api.lines(path, silent_s, **query) as found:
            async for line in found:
                yield line
    except NotFound:
        return  # it went meanwhile, and its log with it
