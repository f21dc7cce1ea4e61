"""Where Kueue hands out the cluster: it, not we, lets a released run start."""

from __future__ import annotations

from typing import Any

from connectors.clusters.kubernetes import names
from connectors.clusters.kubernetes.config import KubernetesConfig
from connectors.types import JobOrder


def release(config: KubernetesConfig, order: JobOrder) -> dict[str, Any]:
    """Return what is changed on a Job to let it run: at once, or when its queue admits it."""
    queue = config.queue_of(order.tenant)
    if queue is None:
        return {"spec": {"suspend": False}}
    return {"metadata": {"labels": {names.QUEUE_LABEL: queue}}}
