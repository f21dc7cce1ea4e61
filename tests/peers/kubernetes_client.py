"""Our connector, as a test uses it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connectors.clusters.kubernetes.cluster import (
    CheckpointVolume,
    KubernetesCluster,
    KubernetesConfig,
    KubernetesPool,
)
from connectors.clusters.kubernetes.names import folder_name, selector
from connectors.protocols import PowerSource
from tests.contracts.orders import POOL
from tests.peers.kubernetes import CLAIM, Place


def kubernetes_cluster(
    place: Place,
    node_selector: Mapping[str, str],
    power_source: PowerSource | None = None,
    **more: Any,
) -> KubernetesCluster:
    """Return a client of ``place`` with one pool, of the nodes selected."""
    config = {
        "pools": (KubernetesPool(POOL, node_selector=node_selector, image="none"),),
        "checkpoints": CheckpointVolume(claim=CLAIM),
        "kubeconfig": place.kubeconfig,
    }
    return KubernetesCluster("kubernetes", KubernetesConfig(**config | more), power_source)


def pod_of(place: Place, key: str) -> str:
    """Return the name of the one pod that a job has."""
    pods = place.plane.ask("GET", f"{place.pods}?labelSelector={selector(key)}")["items"]
    (name,) = (pod["metadata"]["name"] for pod in pods)
    return str(name)


def checkpoints(place: Place, key: str) -> Path:
    """Return the folder that stands for the checkpoints of a job."""
    return place.volumes / "claims" / place.namespace / CLAIM / folder_name(key)
