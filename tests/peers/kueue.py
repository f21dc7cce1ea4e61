"""A real Kueue beside the control plane of the tests. ``make peer-kueue`` builds it.

Its webhooks are not registered: what they would refuse or fill in, tests write as it should be.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.peers.kubernetes import DIE_WITH_US, ControlPlane
from tests.peers.processes import free_ports, peers

_BUILT_FROM = Path(__file__).parents[2] / "deploy" / "peers" / "kueue" / "go.mod"
_API = "/apis/kueue.x-k8s.io/v1beta2"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
HOW_TO_GET_IT = "Kueue is not built (make peer-kueue): its tests are skipped"


def program() -> Path | None:
    """Return the folder of the program, or None where it is not built."""
    lines = _BUILT_FROM.read_text().splitlines()
    (line,) = (line for line in lines if "sigs.k8s.io/kueue v" in line)
    folder = peers() / f"kueue-{line.rpartition(' v')[2]}"
    return folder if (folder / "made-of").exists() else None


@contextmanager
def running(plane: ControlPlane, folder: Path) -> Iterator[None]:
    """Start Kueue and end it afterwards; it must be built."""
    built = program()
    if built is None:
        raise AssertionError(HOW_TO_GET_IT)
    _define(plane, built / "definitions")
    plane.make_namespace("kueue-system")
    health, webhook = free_ports(2)
    certificates = folder / "certificates"
    certificates.mkdir(parents=True)
    (certificates / "tls.crt").write_bytes(plane.certificate.read_bytes())
    (certificates / "tls.key").write_bytes(plane.certificate_key.read_bytes())
    config = folder / "config"
    config.write_text(json.dumps(_config(health, webhook, certificates)))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *DIE_WITH_US,
                built / "kueue",
                f"--config={config}",
                "--feature-gates=VisibilityOnDemand=false",
            ],
            env=os.environ
            | {"KUBECONFIG": str(plane.admin_kubeconfig), "KUEUE_METRICS_CERTS": str(certificates)},
            stdout=log,
            stderr=log,
        )
    try:
        plane.until(lambda: _is_ready(health), f"Kueue is ready; its log is {folder / 'log'}")
        yield
    finally:
        process.kill()
        process.wait(10)


def make_queue(plane: ControlPlane, namespace: str, name: str, gpus: int) -> None:
    """Make a queue for a namespace with a quota of its own."""
    unique = f"{namespace}-{name}"
    quota = {"name": "nvidia.com/gpu", "nominalQuota": str(gpus)}
    group = {
        "coveredResources": ["nvidia.com/gpu"],
        "flavors": [{"name": unique, "resources": [quota]}],
    }
    _make(plane, f"{_API}/resourceflavors", "ResourceFlavor", unique, {})
    spec = {"namespaceSelector": {}, "resourceGroups": [group]}
    _make(plane, f"{_API}/clusterqueues", "ClusterQueue", unique, spec)
    queues = f"{_API}/namespaces/{namespace}/localqueues"
    _make(plane, queues, "LocalQueue", name, {"clusterQueue": unique})
    plane.until(
        lambda: any(
            one["type"] == "Active" and one["status"] == "True"
            for one in plane.ask("GET", f"{queues}/{name}").get("status", {}).get("conditions", [])
        ),
        f"queue {unique} is active",
    )


def workloads(plane: ControlPlane, namespace: str) -> list[dict[str, Any]]:
    """Return the Workloads of a namespace."""
    found: list[dict[str, Any]] = plane.ask("GET", f"{_API}/namespaces/{namespace}/workloads")[
        "items"
    ]
    return found


def evict(plane: ControlPlane, workload: dict[str, Any], message: str) -> None:
    """Evict a Workload, as Kueue's scheduler does to make room for another."""
    meta = workload["metadata"]
    condition = {
        "type": "Evicted",
        "status": "True",
        "reason": "Preempted",
        "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    conditions = [one for one in workload["status"]["conditions"] if one["type"] != "Evicted"]
    path = f"{_API}/namespaces/{meta['namespace']}/workloads/{meta['name']}/status"
    plane.ask("PATCH", path, {"status": {"conditions": [*conditions, condition]}})


def _define(plane: ControlPlane, folder: Path) -> None:
    for path in sorted(folder.glob("*.yaml")):
        for document in filter(None, yaml.safe_load_all(path.read_text())):
            plane.ask("POST", _DEFINITIONS, document)
    plane.until(lambda: _are_served(plane), "Kueue's objects are served")


def _are_served(plane: ControlPlane) -> bool:
    return all(
        any(
            one["type"] == "Established" and one["status"] == "True"
            for one in definition["status"].get("conditions") or []
        )
        for definition in plane.ask("GET", _DEFINITIONS)["items"]
    )


def _config(health: int, webhook: int, certificates: Path) -> dict[str, Any]:
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": f"127.0.0.1:{health}"},
        "metrics": {"bindAddress": "0"},
        "webhook": {"host": "127.0.0.1", "port": webhook, "certDir": str(certificates)},
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": False},
        "integrations": {"frameworks": ["batch/job"]},
    }


def _make(plane: ControlPlane, path: str, kind: str, name: str, spec: dict[str, Any]) -> None:
    body = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": kind, "metadata": {"name": name}}
    plane.ask("POST", path, {**body, "spec": spec})


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2.0).is_success
    except httpx.TransportError:
        return False
