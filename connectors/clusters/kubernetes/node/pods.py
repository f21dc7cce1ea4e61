"""The pods of this node that an agent looks after: ours, not over, with GPUs of NVIDIA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.clusters.kubernetes import names
from connectors.clusters.kubernetes.node.pod_resources import OF_NVIDIA


@dataclass(frozen=True, slots=True)
class NodePod:
    """One pod, with its cap and what was last said of it, as its annotations have them."""

    uid: str
    namespace: str
    name: str
    is_started: bool
    cap: str  # [W per GPU]; empty: none
    said: str | None

    @property
    def path(self) -> str:
        """Where its annotations may be written, and its containers may not."""
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.name}/status"

    def __str__(self) -> str:
        return f"pod {self.namespace}/{self.name}"


def node_pod(pod: Mapping[str, Any]) -> NodePod | None:
    """Parse a pod; None where it is over or asks for no GPU of NVIDIA."""
    meta, phase = pod["metadata"], (pod.get("status") or {}).get("phase", "Pending")
    if phase in {"Succeeded", "Failed"} or not _asks_for_gpus(pod["spec"]):
        return None
    notes = meta.get("annotations") or {}
    return NodePod(
        uid=meta["uid"],
        namespace=meta["namespace"],
        name=meta["name"],
        is_started=phase == "Running",
        cap=notes.get(names.POWER_CAP, ""),
        said=notes.get(names.CAPPED),
    )


def _asks_for_gpus(spec: Mapping[str, Any]) -> bool:
    limits = [(one.get("resources") or {}).get("limits") or {} for one in spec["containers"]]
    return any(resource.startswith(OF_NVIDIA) for of_one in limits for resource in of_one)
