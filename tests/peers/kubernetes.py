"""A real Kubernetes control plane on loopback: etcd, API server, controllers, scheduler.

``make peer-kubernetes`` builds it. It has no nodes of its own: see ``tests.peers.kubelet``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.peers.processes import free_ports, peers

_BUILT_FROM = Path(__file__).parents[2] / "deploy" / "peers" / "kubernetes" / "go.mod"
_READY_WITHIN_S = 60.0
_STOPS_WITHIN_S = 10.0
ADMIN_TOKEN = "admin-of-the-test"  # noqa: S105 - of a server that lives as long as a test
# So that a test run that is killed leaves no server behind.
DIE_WITH_US = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
CLAIM = "checkpoints"
HOW_TO_GET_IT = "Kubernetes is not built (make peer-kubernetes): its tests are skipped"


def version() -> str:
    """Return the version of Kubernetes the build is made from."""
    lines = _BUILT_FROM.read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("require k8s.io/kubernetes v"))
    return line.rpartition(" v")[2]


def programs() -> Path | None:
    """Return the folder of the programs, or None where they are not built."""
    folder = peers() / f"kubernetes-{version()}"
    return folder if (folder / "made-of").exists() else None


class Refused(AssertionError):
    """The API server said no to its administrator."""


class ControlPlane:
    """One control plane in ``folder``. Its parts can be killed and started again by name."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder = folder
        self._programs = programs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        names = ("etcd", "peers", "api", "cm", "sched")
        self._port = dict(zip(names, free_ports(len(names)), strict=True))
        self.port = self._port["api"]
        self.url = f"https://127.0.0.1:{self.port}"
        self.certificate = folder / "certs" / "apiserver.crt"
        self.certificate_key = folder / "certs" / "apiserver.key"
        self.admin_kubeconfig = folder / "kubeconfig"
        self._admin: httpx.Client | None = None

    def start_all(self) -> None:
        """Start every part; return once the API server is ready."""
        self._folder.mkdir(parents=True, exist_ok=True)
        key = self._folder / "sa.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        (self._folder / "tokens.csv").write_text(f'{ADMIN_TOKEN},admin,1,"system:masters"\n')
        self.start("etcd")
        self.start("kube-apiserver")
        self.wait_until_ready()
        self.kubeconfig(self.admin_kubeconfig, ADMIN_TOKEN)
        self.start("kube-controller-manager")
        self.start("kube-scheduler")
        self.until(self._has_default_account, "the controllers made the first service account")

    def start(self, name: str) -> None:
        """Start one part, or start it again."""
        with (self._folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [*DIE_WITH_US, self._programs / name, *self._flags(name)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )

    def start_missing(self) -> None:
        """Start every part that was killed."""
        for name in _FLAGS:
            if name not in self._processes:
                self.start(name)
        self.wait_until_ready()

    def kill(self, name: str) -> None:
        """End one part at once, as a crash would."""
        process = self._processes.pop(name)
        process.kill()
        process.wait(_STOPS_WITHIN_S)

    def stop_all(self) -> None:
        """End every part; those that hang are killed."""
        if self._admin is not None:
            self._admin.close()
        for name in reversed(list(self._processes)):
            process = self._processes.pop(name)
            process.send_signal(signal.SIGTERM if name == "etcd" else signal.SIGKILL)
            try:
                process.wait(_STOPS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(_STOPS_WITHIN_S)

    def wait_until_ready(self) -> None:
        """Return once the API server says that it is ready."""
        self.until(self._is_ready, "the API server is ready")

    def kubeconfig(
        self, path: Path, token: str, namespace: str = "default", port: int | None = None
    ) -> Path:
        """Write a kubeconfig with one context, ``test``, that leads here or to another ``port``."""
        server = f"https://127.0.0.1:{port or self.port}"
        cluster = {"server": server, "certificate-authority": str(self.certificate)}
        context = {"cluster": "test", "user": "test", "namespace": namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": context}],
            "current-context": "test",
        }
        path.write_text(json.dumps(config))  # which is YAML too
        return path

    def ask(
        self, method: str, path: str, body: object = None, kind: str = "merge-patch"
    ) -> dict[str, Any]:
        """Ask the API server as its administrator."""
        media = f"application/{kind}+json" if method == "PATCH" else "application/json"
        content = None if body is None else json.dumps(body)
        reply = self._client().request(
            method, path, content=content, headers={"Content-Type": media}
        )
        if reply.is_error:
            raise Refused(f"{method} {path}: {reply.status_code} {reply.text}")
        answer: dict[str, Any] = reply.json()
        return answer

    def make_namespace(self, name: str) -> None:
        """Make a namespace; return once pods can be made there."""
        self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        self.until(lambda: self._has_default_account(name), f"namespace {name} has an account")

    def delete_namespace(self, name: str) -> None:
        """Begin to delete a namespace, unless that has begun."""
        with suppress(Refused):
            self.ask("DELETE", f"/api/v1/namespaces/{name}")

    def make_claim(self, namespace: str, name: str) -> None:
        """Make a claim that is bound to a volume; where its files are is for the kubelet to say."""
        volume = f"{namespace}-{name}"
        size = {"storage": "1Gi"}
        spec = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
        host = {"capacity": size, "hostPath": {"path": "/nowhere"}}
        self.ask(
            "POST",
            "/api/v1/persistentvolumes",
            {"metadata": {"name": volume}, "spec": {**spec, **host}},
        )
        claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
        wanted = {**spec, "resources": {"requests": size}, "volumeName": volume}
        self.ask("POST", claims, {"metadata": {"name": name}, "spec": wanted})
        self.until(
            lambda: self.ask("GET", f"{claims}/{name}")["status"].get("phase") == "Bound",
            f"claim {namespace}/{name} is bound",
        )

    def memory_mib(self) -> dict[str, int]:
        """Return the resident memory of every part [MiB]."""
        page_mib = os.sysconf("SC_PAGE_SIZE") / 2**20
        return {
            name: int(int(Path(f"/proc/{p.pid}/statm").read_text().split()[1]) * page_mib)
            for name, p in self._processes.items()
        }

    def tls(self) -> ssl.SSLContext:
        """Return what trusts this API server."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def _client(self) -> httpx.Client:
        if self._admin is None:
            headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
            self._admin = httpx.Client(
                base_url=self.url, verify=self.tls(), headers=headers, timeout=30.0
            )
        return self._admin

    def _is_ready(self) -> bool:
        if not self.certificate.exists():
            return False
        try:
            return self._client().get("/readyz", timeout=2.0).text == "ok"
        except httpx.TransportError:
            return False

    def _has_default_account(self, namespace: str = "default") -> bool:
        accounts = self.ask("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts")["items"]
        return bool(accounts)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for ``condition``, described by ``what``, as long as every part lives."""
        give_up_at = time.monotonic() + _READY_WITHIN_S
        while not condition():
            dead = {n: p.returncode for n, p in self._processes.items() if p.poll() is not None}
            if dead or time.monotonic() > give_up_at:
                raise AssertionError(f"never: {what}; ended: {dead}; logs are in {self._folder}")
            time.sleep(0.05)

    def _flags(self, name: str) -> list[str]:
        flags = _FLAGS[name]
        values = {"folder": str(self._folder), "url": self.url, **self._port}
        return [flag.format_map(values) for flag in flags]


_LOOPBACK = "http://127.0.0.1"
_FLAGS: Mapping[str, list[str]] = {
    "etcd": [
        "--data-dir={folder}/etcd",
        "--unsafe-no-fsync",
        f"--listen-client-urls={_LOOPBACK}:{{etcd}}",
        f"--advertise-client-urls={_LOOPBACK}:{{etcd}}",
        f"--listen-peer-urls={_LOOPBACK}:{{peers}}",
        f"--initial-advertise-peer-urls={_LOOPBACK}:{{peers}}",
        f"--initial-cluster=default={_LOOPBACK}:{{peers}}",
    ],
    "kube-apiserver": [
        f"--etcd-servers={_LOOPBACK}:{{etcd}}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        "--secure-port={api}",
        "--cert-dir={folder}/certs",
        "--service-account-key-file={folder}/sa.key",
        "--service-account-signing-key-file={folder}/sa.key",
        "--service-account-issuer=https://127.0.0.1",
        "--service-cluster-ip-range=10.96.0.0/24",
        "--authorization-mode=RBAC",
        "--token-auth-file={folder}/tokens.csv",
        "--kubelet-preferred-address-types=InternalIP",
        "--default-not-ready-toleration-seconds=2",
        "--default-unreachable-toleration-seconds=2",
    ],
    "kube-controller-manager": [
        "--kubeconfig={folder}/kubeconfig",
        "--service-account-private-key-file={folder}/sa.key",
        "--bind-address=127.0.0.1",
        "--secure-port={cm}",
        "--cert-dir={folder}/certs-of-controllers",
        "--leader-elect=false",
        "--node-monitor-period=1s",
        "--node-monitor-grace-period=5s",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    ],
    "kube-scheduler": [
        "--kubeconfig={folder}/kubeconfig",
        "--bind-address=127.0.0.1",
        "--secure-port={sched}",
        "--cert-dir={folder}/certs-of-scheduler",
        "--leader-elect=false",
        "--pod-max-in-unschedulable-pods-duration=5s",
    ],
}


@dataclass(frozen=True)
class Place:
    """A namespace of a control plane, a kubeconfig that leads there, and where volumes are."""

    plane: ControlPlane
    namespace: str
    kubeconfig: Path
    volumes: Path

    @property
    def jobs(self) -> str:
        """Path of its Jobs."""
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    @property
    def pods(self) -> str:
        """Path of its pods."""
        return f"/api/v1/namespaces/{self.namespace}/pods"


@contextmanager
def running(folder: Path) -> Iterator[ControlPlane]:
    """Start a control plane in ``folder`` and end it afterwards; it must be built."""
    built = programs()
    if built is None:
        raise AssertionError(HOW_TO_GET_IT)
    plane = ControlPlane(folder, built)
    try:
        plane.start_all()
        yield plane
    finally:
        plane.stop_all()
