"""A real Slurm and a real Kubernetes for a benchmark, and what a fleet says to reach them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.peers import kubernetes, slurm
from tests.peers.kubelet import FakeKubelet
from tests.peers.kubernetes_rights import grant

NAMESPACE = "gridtide"
_TOKEN_S = 24 * 3600


@contextmanager
def running_slurm(
    folder: Path, pool: str, n_nodes: int, gpus_per_node: int, node_timeout_s: int = 60
) -> Iterator[tuple[slurm.Slurm, dict[str, Any]]]:
    """Start a Slurm whose GPUs are all of ``pool``; give it, and how it is reached by REST."""
    running = slurm.start(n_nodes, gpus_per_node, node_timeout_s=node_timeout_s)
    try:
        token = folder / "slurm-token"
        token.write_text(running.token(_TOKEN_S))
        yield (
            running,
            {
                "kind": "slurm",
                "folder": str(folder / "shared"),
                "url": running.rest_url,
                "user": "root",
                "token_file": str(token),
                "pools": {pool: {"partition": "gpu"}},
            },
        )
    finally:
        running.stop()


@dataclass(frozen=True, slots=True)
class OnKubernetes:
    """A control plane with one node, in a folder; ``token`` is of Gridtide's account."""

    plane: kubernetes.ControlPlane
    node: FakeKubelet
    folder: Path
    token: str

    def spec(self, port: int | None = None) -> dict[str, Any]:
        """How it is reached, here or by another ``port``."""
        file = self.folder / "account"
        return {
            "kind": "kubernetes",
            "kubeconfig": str(self.plane.kubeconfig(file, self.token, NAMESPACE, port)),
            "checkpoint_claim": kubernetes.CLAIM,
            "image": "none",
        }


@contextmanager
def running_kubernetes(folder: Path, gpus: int) -> Iterator[OnKubernetes]:
    """Start a Kubernetes with ``gpus`` GPUs; ``SystemExit`` says how to get one."""
    if kubernetes.programs() is None:
        raise SystemExit(kubernetes.HOW_TO_GET_IT)
    with kubernetes.running(folder / "plane") as plane:
        plane.make_namespace(NAMESPACE)
        plane.make_claim(NAMESPACE, kubernetes.CLAIM)
        node = FakeKubelet(plane, "node-0", gpus, folder)
        node.start()
        try:
            yield OnKubernetes(plane, node, folder, grant(plane, NAMESPACE))
        finally:
            node.stop()
