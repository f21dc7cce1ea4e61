"""Keeps the GPUs of this node at the caps of the pods that have them.

Level-triggered: what the annotations of the pods say is compared with what was last read back, and
the difference is set. A round is made when a pod changes, when something is to be tried again, and
every minute, for somebody else may set another limit. No round is remembered but in records, each
written before a GPU is touched: an agent that was killed goes on from them. A driver that takes its
time holds up the pod of its GPUs alone: the round goes on, and another is made once it answers.

While the API server is away, what is set stays set and is checked. Nothing is given back then: a
pod is over only when the API server has said so since this agent is there.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from connectors.clusters.cap_command import DEFAULT, NOT_KNOWN, CapCommand
from connectors.clusters.kubernetes import names
from connectors.clusters.kubernetes.api import Api, Conflict, NotFound
from connectors.clusters.kubernetes.node.pod_resources import Given, PodResources
from connectors.clusters.kubernetes.node.pods import NodePod, node_pod
from connectors.clusters.kubernetes.node.records import Record, Records
from connectors.clusters.kubernetes.watching import Watched
from connectors.errors import ConnectorError

log = logging.getLogger(__name__)

_RETRY_AFTER_S = 1.0
_PATIENCE_S = 2.0  # with the driver, before the round goes on
_LONGEST_WORDS = 1000
_NO_CAP = "-"


@dataclass(frozen=True, slots=True)
class Duty:
    """What an agent is there for.

    Parameters
    ----------
    command
        Sets caps and reads back what is in force: that of ``deploy/node``.
    check_every_s
        How long what was read back counts.
    """

    node: str
    namespaces: Sequence[str]
    command: Sequence[str]
    check_every_s: float = 60.0


@dataclass
class _Applied:
    """What was last set for a pod, or for its GPUs after it."""

    command: CapCommand
    watts: str = ""
    said: str = ""
    at: float = -math.inf  # [s of monotonic time]
    work: asyncio.Task[None] | None = None  # that sets it just now


class NodeAgent:
    """Looks after the pods of one node. ``connect`` is asked again when we are not known any more.

    Only one may use ``records`` at a time.
    """

    def __init__(
        self, duty: Duty, connect: Callable[[], Api], kubelet: PodResources, records: Records
    ) -> None:
        self._duty = duty
        self._connect = connect
        self._kubelet = kubelet
        self._records = records
        self._refused: dict[str, str] = {}  # why a pod can have no cap, by uid
        self._applied: dict[tuple[str, bool], _Applied] = {}  # by uid, and whether it is over
        self._complaints: dict[str, str] = {}  # by namespace
        self._untold: dict[str, str] = {}  # why a pod cannot be told, by uid
        self._watches: Mapping[str, Watched[NodePod]] = {}
        self._retry_after_s = math.inf
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Look after them until cancelled.

        Raises
        ------
        ConnectorError
            There is no way to the API server: no such kubeconfig, context or account.
        """
        try:
            while True:
                await self._run_connected()
                log.warning("our credentials were not accepted; they are read again")
                await asyncio.sleep(_RETRY_AFTER_S)
        finally:
            await _end(one.work for one in self._applied.values() if one.work is not None)

    async def _run_connected(self) -> None:
        """Look after them until our credentials are not accepted."""
        api = self._connect()
        labels = {"labelSelector": f"{names.MANAGED_BY}={names.OURS}"}
        here = {"fieldSelector": f"spec.nodeName={self._duty.node}"}
        self._watches = {
            namespace: Watched(
                api,
                f"/api/v1/namespaces/{namespace}/pods",
                node_pod,
                self._changed.set,
                **labels,
                **here,
            )
            for namespace in self._duty.namespaces
        }
        tasks = [asyncio.create_task(watch.run()) for watch in self._watches.values()]
        try:
            while not api.is_refused and not any(task.done() for task in tasks):
                self._changed.clear()
                await self._round(api)
                await _wait(self._changed, min(self._retry_after_s, self._duty.check_every_s))
            for task in tasks:
                if task.done():
                    task.result()  # it ends in no other way than by an error nobody expects
        finally:
            await _end(tasks)
            await api.close()

    async def _round(self, api: Api) -> None:
        self._retry_after_s = math.inf
        self._complain()
        pods = {
            pod.uid: pod for watch in self._watches.values() if watch.version for pod in watch.items
        }
        await self._give_back(pods)
        unknown = await self._learn(pods)
        await asyncio.gather(*(self._keep(api, pod, unknown) for pod in pods.values()))
        kept = {record.uid for record in self._records}
        self._refused = {uid: why for uid, why in self._refused.items() if uid in pods}
        self._untold = {uid: why for uid, why in self._untold.items() if uid in pods}
        self._applied = {key: one for key, one in self._applied.items() if key[0] in kept}

    def _complain(self) -> None:
        for namespace, watch in self._watches.items():
            words = "" if watch.error is None else str(watch.error)
            if words and self._complaints.get(namespace) != words:
                log.warning("namespace %s: %s", namespace, words)
            self._complaints[namespace] = words

    async def _give_back(self, pods: Mapping[str, NodePod]) -> None:
        """Give the GPUs of pods that are over their default, but for those that others have now."""
        over = [record for record in self._records if self._is_over(record, pods)]
        held = {gpu for one in self._records if one not in over for gpu in one.gpus}
        await asyncio.gather(*(self._give_back_one(record, held) for record in over))

    def _is_over(self, record: Record, pods: Mapping[str, NodePod]) -> bool:
        watch = self._watches.get(record.namespace)
        return record.uid not in pods and (watch is None or watch.version > 0)

    async def _give_back_one(self, record: Record, held: set[str]) -> None:
        gpus = [gpu for gpu in record.gpus if gpu not in held]
        if self._is_being_set(record.uid, is_over=False):
            return  # its cap would come after the default
        if self._is_being_set(record.uid, is_over=True):
            return  # the record stays, so that whoever has its GPUs now waits for it
        said = await self._set(record.uid, DEFAULT, gpus, is_over=True) if gpus else ""
        if said is None:
            return
        in_force, _, wrong = said.partition(" ")
        if in_force == NOT_KNOWN or wrong.strip():
            self._try_again(self._duty.check_every_s)
            return
        log.info("pod %s/%s is over: %s W", record.namespace, record.name, in_force or "others'")
        self._records.remove(record)

    def _is_being_set(self, uid: str, *, is_over: bool) -> bool:
        one = self._applied.get((uid, is_over))
        return one is not None and one.work is not None and not one.work.done()

    def _is_being_given_back(self, gpus: Iterable[str]) -> bool:
        """Whether the default for a pod before is still on its way to any of ``gpus``."""
        wanted = set(gpus)
        return any(
            self._is_being_set(record.uid, is_over=True) and not wanted.isdisjoint(record.gpus)
            for record in self._records
        )

    async def _learn(self, pods: Mapping[str, NodePod]) -> str:
        """Ask the kubelet which GPUs the pods have of which that is not known; why it is not."""
        new = [
            pod
            for pod in pods.values()
            if self._records.get(pod.uid) is None and pod.uid not in self._refused
        ]
        if not new:
            return ""
        try:
            given = await self._kubelet.given()
        except ConnectorError as error:
            self._try_again(_RETRY_AFTER_S)
            return f"which GPUs it has is not known: {error}"
        for pod in new:
            of_pod = given.get((pod.namespace, pod.name), Given())
            if of_pod.refusal:
                self._refused[pod.uid] = of_pod.refusal
            elif of_pod.gpus:
                self._records.add(Record(pod.uid, pod.namespace, pod.name, of_pod.gpus))
            else:
                self._try_again(_RETRY_AFTER_S)
        return "the kubelet names no GPU of it"

    async def _keep(self, api: Api, pod: NodePod, unknown: str) -> None:
        """Set the cap of a pod where it is not what was set, and say what is in force."""
        record = self._records.get(pod.uid)
        watts = _watts(pod.cap)
        if watts is None:
            said = f"{NOT_KNOWN} cap = {pod.cap!r:.80}, must be a number of watts"
            await self._tell(api, pod, f"{_NO_CAP} {said}")
        elif record is not None:
            if self._is_being_given_back(record.gpus):
                return  # the default would come after its cap; another round is made then
            in_force = await self._set(pod.uid, watts, record.gpus)
            if in_force is not None:
                await self._tell(api, pod, f"{pod.cap or _NO_CAP} {in_force}")
        elif pod.uid in self._refused or pod.is_started:
            why = self._refused.get(pod.uid, unknown) if pod.cap else ""
            await self._tell(api, pod, f"{pod.cap or _NO_CAP} {NOT_KNOWN} {why}")

    async def _set(
        self, uid: str, watts: str, gpus: Sequence[str], *, is_over: bool = False
    ) -> str | None:
        """Have GPUs at a limit; what was read back lately counts. None: it is not yet known."""
        key = uid, is_over
        if key not in self._applied:
            other = self._applied.get((uid, not is_over))
            command = CapCommand(self._duty.command) if other is None else other.command
            self._applied[key] = _Applied(command)
        last = self._applied[key]
        if last.work is not None and last.work.done():
            last.work.result()
            last.work = None
        is_due = time.monotonic() - last.at >= self._duty.check_every_s
        if last.work is None and (last.watts != watts or is_due):
            last.work = asyncio.create_task(_apply(last, watts, gpus))
            last.work.add_done_callback(lambda _: self._changed.set())
        if last.work is not None:
            done, _ = await asyncio.wait({last.work}, timeout=_PATIENCE_S)
            if not done:
                return None
            last.work.result()
            last.work = None
        return last.said if last.watts == watts else None

    async def _tell(self, api: Api, pod: NodePod, line: str) -> None:
        """Write to a pod what holds for it, where it does not say so already."""
        line = line.strip()[:_LONGEST_WORDS]
        if pod.said is not None and pod.said.partition(" ")[2] == line:
            return
        notes = {names.CAPPED: f"{time.time():.0f} {line}"}
        body = {"metadata": {"uid": pod.uid, "annotations": notes}}
        try:
            await api.patch(pod.path, body)
        except (NotFound, Conflict):
            return  # it has ended
        except ConnectorError as error:
            words = str(error)
            if self._untold.get(pod.uid) != words:
                log.warning("%s: what is in force cannot be told: %s", pod, words)
            self._untold[pod.uid] = words
            self._try_again(5 * _RETRY_AFTER_S)
        else:
            self._untold.pop(pod.uid, None)

    def _try_again(self, after_s: float) -> None:
        self._retry_after_s = min(self._retry_after_s, after_s)


def _watts(cap: str) -> str | None:
    """Return a cap as the command takes it; None where it is none."""
    if not cap:
        return DEFAULT
    try:
        watts = float(cap)
    except ValueError:
        return None
    return f"{watts:g}" if math.isfinite(watts) else None


async def _apply(last: _Applied, watts: str, gpus: Sequence[str]) -> None:
    said = (await asyncio.to_thread(last.command.set, watts, gpus)).strip()
    if (last.watts, last.said) != (watts, said):
        log.info("GPUs %s: to be %s W: %s", " ".join(gpus), watts, said)
    last.watts, last.said, last.at = watts, said, time.monotonic()


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


async def _wait(changed: asyncio.Event, at_most_s: float) -> None:
    try:
        async with asyncio.timeout(at_most_s):
            await changed.wait()
    except TimeoutError:
        return
