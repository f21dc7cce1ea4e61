"""A fake kubelet: a node whose containers are processes of this machine.

It watches the pods bound to it, really runs their commands, reports how they end, serves their
logs, keeps the lease of its node, and gives out GPUs as the device plugin of NVIDIA does. There are
no images, so one is never pulled; a test names those that cannot be.
"""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from tests.peers.container_logs import serve
from tests.peers.containers import Container, environment, expand, mounted, now, write_downward
from tests.peers.kubernetes import ADMIN_TOKEN, ControlPlane
from tests.peers.nvidia_smi import uuid_of
from tests.peers.processes import free_ports

_BEAT_EVERY_S = 1.0
_RETRY_S = 0.2
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


class FakeKubelet:
    """One node with ``gpus`` GPUs; ``root`` stands for the volumes, shared by all nodes."""

    def __init__(
        self,
        plane: ControlPlane,
        name: str,
        gpus: int,
        root: Path,
        *,
        labels: dict[str, str] | None = None,
        resource: str = "nvidia.com/gpu",
    ) -> None:
        self.name = name
        self.bad_images: set[str] = set()
        self.device_of: Callable[[int], str] = uuid_of  # as the device plugin names a GPU
        self.tell_given: Callable[[list[dict[str, Any]]], None] | None = None  # pod resources
        self.is_lost = False
        self._plane = plane
        self._gpus = gpus
        self._root = root
        self._labels = {"kubernetes.io/hostname": name, **(labels or {})}
        self._resource = resource
        self._port = free_ports(1)[0]
        self._pods: dict[str, dict[str, Any]] = {}
        self._containers: dict[str, Container] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._held: dict[str, set[int]] = {}
        self._evicted: dict[str, dict[str, str]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True, name=f"kubelet {name}")
        self._is_up = threading.Event()

    def start(self) -> None:
        """Register the node; return once it is ready."""
        self._thread.start()
        if not self._is_up.wait(30):
            raise AssertionError(f"kubelet {self.name} did not come up")
        self._plane.until(self._takes_work, f"node {self.name} takes work")

    def _takes_work(self) -> bool:
        # The controllers take away the taint that every node is born with.
        return not self._plane.ask("GET", f"/api/v1/nodes/{self.name}")["spec"].get("taints")

    def stop(self) -> None:
        """Kill what runs and go, taking the node away."""
        self._call(self._kill_all())
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)
        self._plane.ask("DELETE", f"/api/v1/nodes/{self.name}")

    def lose(self) -> None:
        """Fall silent, as a machine that lost its power: everything on it is gone."""
        self.is_lost = True
        self._call(self._kill_all())

    def return_(self) -> None:
        """Speak again, as after a reboot: what ran before has failed."""
        self.is_lost = False

    def evict(self, namespace: str, pod: str, message: str) -> None:
        """Evict a pod as a kubelet under pressure does: it fails at once, with a reason."""
        self._call(self._evict(namespace, pod, message))

    def run_out_of_memory(self, namespace: str, pod: str) -> None:
        """Kill the container of a pod as the kernel does."""
        uid = next(u for u, p in self._pods.items() if _is_named(p, namespace, pod))
        self._loop.call_soon_threadsafe(self._containers[uid].kill, "OOMKilled")

    def _call(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._end = asyncio.Event()
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        plane = self._plane
        async with httpx.AsyncClient(
            base_url=plane.url, verify=plane.tls(), headers=headers, timeout=10.0
        ) as self._client:
            logs = await serve(self._port, plane.certificate, plane.certificate_key, self._log_of)
            await self._register()
            loops = [asyncio.create_task(work) for work in (self._beat(), self._watch())]
            self._is_up.set()
            await self._end.wait()
            for container in self._containers.values():
                await container.gone()
            for task in [*loops, *self._tasks.values()]:
                task.cancel()
            logs.close()
        await asyncio.sleep(0.05)  # connections let go of their sockets a little after they close

    async def _ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Ask until there is an answer: a kubelet outlives its API server."""
        # Strategic: conditions that others set stay.
        media = f"application/{'strategic-merge-patch+json' if method == 'PATCH' else 'json'}"
        content = None if body is None else json.dumps(body)
        while True:
            with suppress(httpx.TransportError):
                if not self.is_lost:
                    reply = await self._client.request(
                        method, path, content=content, headers={"Content-Type": media}
                    )
                    if not reply.is_server_error and reply.status_code != 429:
                        return reply
            await asyncio.sleep(_RETRY_S)

    async def _register(self) -> None:
        await self._ask(
            "POST",
            "/api/v1/nodes",
            {"metadata": {"name": self.name, "labels": self._labels}},
        )
        amounts = {"cpu": "32", "memory": "64Gi", "pods": "110", self._resource: str(self._gpus)}
        status = {
            "capacity": amounts,
            "allocatable": amounts,
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._port}},
            "conditions": [_condition("Ready", "KubeletReady")],
        }
        await self._ask("PATCH", f"/api/v1/nodes/{self.name}/status", {"status": status})
        await self._ask("POST", _LEASES, {"metadata": {"name": self.name}, "spec": self._lease()})

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_EVERY_S)
            await self._ask("PATCH", f"{_LEASES}/{self.name}", {"spec": self._lease()})
            if not self.is_lost and not await self._is_ready():
                # It was silent too long for the controllers, through its own fault or theirs.
                conditions = {"conditions": [_condition("Ready", "KubeletReady")]}
                path = f"/api/v1/nodes/{self.name}/status"
                await self._ask("PATCH", path, {"status": conditions})

    async def _is_ready(self) -> bool:
        """Whether the API server says of this node that it is."""
        node = (await self._ask("GET", f"/api/v1/nodes/{self.name}")).json()
        conditions = node.get("status", {}).get("conditions", [])
        return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)

    def _lease(self) -> dict[str, object]:
        renewed = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {"holderIdentity": self.name, "leaseDurationSeconds": 5, "renewTime": renewed}

    async def _watch(self) -> None:
        """Follow the pods bound to this node, for good."""
        mine = {"fieldSelector": f"spec.nodeName={self.name}"}
        while True:
            listed = await self._ask("GET", f"/api/v1/pods?fieldSelector={mine['fieldSelector']}")
            answer = listed.json()
            gone = set(self._pods) - {pod["metadata"]["uid"] for pod in answer["items"]}
            for pod in answer["items"]:
                self._seen(pod)
            for uid in gone:
                self._gone(uid)
            version = answer["metadata"]["resourceVersion"]
            with suppress(httpx.TransportError, KeyError):
                await self._follow({**mine, "watch": "true", "resourceVersion": version})
            await asyncio.sleep(_RETRY_S)

    async def _follow(self, query: dict[str, str]) -> None:
        timeout = httpx.Timeout(10.0, read=None)
        async with self._client.stream("GET", "/api/v1/pods", params=query, timeout=timeout) as got:
            async for line in got.aiter_lines():
                event = json.loads(line)
                if self.is_lost or event["type"] == "ERROR":
                    return
                if event["type"] == "DELETED":
                    self._gone(event["object"]["metadata"]["uid"])
                else:
                    self._seen(event["object"])

    def _seen(self, pod: dict[str, Any]) -> None:
        uid = pod["metadata"]["uid"]
        is_new = uid not in self._pods
        self._pods[uid] = pod
        if is_new and pod["status"].get("phase") not in {"Succeeded", "Failed"}:
            self._tasks[uid] = asyncio.create_task(self._live(uid))
        elif not is_new:
            write_downward(pod, self._root)
        if pod["metadata"].get("deletionTimestamp") and f"{uid} stop" not in self._tasks:
            self._tasks[f"{uid} stop"] = asyncio.create_task(self._stop_pod(uid))

    def _gone(self, uid: str) -> None:
        """Drop a pod that was deleted, killing what it may still run."""
        self._pods.pop(uid, None)
        if uid in self._containers:
            self._containers[uid].kill()
        self._give_back(uid)

    async def _live(self, uid: str) -> None:
        """Run the one container of a pod from its start to its end."""
        pod = self._pods[uid]
        spec = pod["spec"]["containers"][0]
        while spec["image"] in self.bad_images:
            await self._report_bad_image(uid, spec)
            await asyncio.sleep(_RETRY_S)
            if uid not in self._pods:
                return
        given = self._give_gpus(uid, spec)
        if given is None:
            await self._report(uid, "Failed", reason="UnexpectedAdmissionError")
            return
        container = self._containers[uid] = Container(spec["name"], spec["image"])
        variables = environment(pod, spec, given)
        folders = mounted(pod, spec, variables, self._root)
        command = [*spec.get("command", []), *spec.get("args", [])]
        command = [_here(expand(word, variables), folders) for word in command]
        variables = {name: _here(value, folders) for name, value in variables.items()}
        work = self._root / "pods" / uid
        work.mkdir(parents=True, exist_ok=True)
        if await container.run(command, variables, work):
            await self._report(uid, "Running", container)
            await container.watch()
        self._give_back(uid)
        phase = "Succeeded" if container.exit_code == 0 else "Failed"
        if uid in self._evicted:
            phase = "Failed"
        await self._report(uid, phase, container, **self._evicted.get(uid, {}))

    async def _stop_pod(self, uid: str) -> None:
        """End a pod that is being deleted, and confirm that it is gone."""
        meta = self._pods[uid]["metadata"]
        if uid in self._containers:
            await self._containers[uid].stop(meta.get("deletionGracePeriodSeconds", 30))
            await self._tasks[uid]
        elif uid in self._tasks:
            self._tasks[uid].cancel()
            await self._report(uid, "Failed")
        await self._ask(
            "DELETE",
            f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}",
            {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}},
        )

    async def _report(
        self, uid: str, phase: str, container: Container | None = None, **more: object
    ) -> None:
        ready = _condition("Ready", "", is_true=phase == "Running")
        scheduled = _condition("PodScheduled", "")
        status: dict[str, object] = {"phase": phase, "conditions": [scheduled, ready], **more}
        if container is not None:
            status["containerStatuses"] = [container.status]
            status["startTime"] = container.started_at
        await self._patch_status(uid, status)

    async def _report_bad_image(self, uid: str, spec: dict[str, Any]) -> None:
        before = self._pods[uid]["status"].get("containerStatuses")
        reason = "ImagePullBackOff" if before else "ErrImagePull"
        waiting = {
            "reason": reason,
            "message": f"failed to pull image {spec['image']!r}: not found",
        }
        status = {
            "name": spec["name"],
            "image": spec["image"],
            "imageID": "",
            "ready": False,
            "restartCount": 0,
            "state": {"waiting": waiting},
        }
        await self._patch_status(uid, {"phase": "Pending", "containerStatuses": [status]})

    async def _patch_status(self, uid: str, status: dict[str, object]) -> None:
        if uid not in self._pods:
            return
        meta = self._pods[uid]["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status"
        await self._ask("PATCH", path, {"metadata": {"uid": uid}, "status": status})

    async def _evict(self, namespace: str, name: str, message: str) -> None:
        uid = next(u for u, p in self._pods.items() if _is_named(p, namespace, name))
        self._evicted[uid] = {"reason": "Evicted", "message": message}
        self._containers[uid].kill()
        await self._tasks[uid]

    async def _kill_all(self) -> None:
        for container in self._containers.values():
            container.kill()

    def _give_gpus(self, uid: str, spec: dict[str, Any]) -> dict[str, str] | None:
        """Give out free GPUs as a device plugin does; None where there are too few."""
        limits = spec.get("resources", {}).get("limits", {})
        wanted = math.ceil(float(limits.get(self._resource, 0)))
        taken = {index for held in self._held.values() for index in held}
        free = [index for index in range(self._gpus) if index not in taken]
        if len(free) < wanted:
            return None
        self._held[uid] = set(free[:wanted])
        self._tell()
        indices = ",".join(str(index) for index in free[:wanted])
        return {"CUDA_VISIBLE_DEVICES": indices, "NVIDIA_VISIBLE_DEVICES": indices}

    def _give_back(self, uid: str) -> None:
        self._held.pop(uid, None)
        self._tell()

    def _tell(self) -> None:
        """Tell who serves pod resources which devices the containers have."""
        if self.tell_given is None:
            return
        given = []
        for uid, held in self._held.items():
            if uid in self._pods:
                pod = self._pods[uid]
                ids = {self._resource: [self.device_of(index) for index in sorted(held)]}
                named = {"UID": uid, "Containers": {pod["spec"]["containers"][0]["name"]: ids}}
                meta = pod["metadata"]
                given.append({"Name": meta["name"], "Namespace": meta["namespace"], **named})
        self.tell_given(given)

    def _log_of(
        self, namespace: str, pod: str, _container: str, follow: bool
    ) -> AsyncIterator[bytes] | None:
        for uid, known in self._pods.items():
            if _is_named(known, namespace, pod) and uid in self._containers:
                return self._containers[uid].lines(follow=follow)
        return None


def _is_named(pod: dict[str, Any], namespace: str, name: str) -> bool:
    return bool(pod["metadata"]["namespace"] == namespace and pod["metadata"]["name"] == name)


def _condition(kind: str, reason: str, *, is_true: bool = True) -> dict[str, str]:
    status = "True" if is_true else "False"
    at = now()
    return {
        "type": kind,
        "status": status,
        "reason": reason or kind,
        "lastTransitionTime": at,
        "lastHeartbeatTime": at,
    }


def _here(text: str, folders: dict[str, Path]) -> str:
    for path, folder in folders.items():
        if text == path or text.startswith(f"{path}/"):
            return f"{folder}{text[len(path) :]}"
    return text
