"""Where Kueue hands out the cluster: it, not we, lets a released run start, and takes it away.

A Job with the name of a queue is Kueue's to suspend: it keeps a Workload for it, and starts it when
its queue has room. So a run is released by naming its queue, and paused by deactivating its
Workload. What Kueue preempts has been paused by the cluster, and goes on with another run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.clusters.kubernetes import names
from connectors.clusters.kubernetes.config import KubernetesConfig
from connectors.types import JobOrder

JOB_LABEL = "kueue.x-k8s.io/job-uid"


@dataclass(frozen=True, slots=True)
class WorkloadView:
    """What Kueue keeps of one Job."""

    name: str
    job_uid: str
    is_active: bool
    words: str  # why it is not admitted


def workloads_path(config: KubernetesConfig, namespace: str) -> str:
    """Return where the Workloads of a namespace are."""
    return f"/apis/kueue.x-k8s.io/{config.kueue_api}/namespaces/{namespace}/workloads"


def workload_view(workload: Mapping[str, Any]) -> WorkloadView | None:
    """Parse a Workload; None where it is not of a Job."""
    meta, spec = workload["metadata"], workload["spec"]
    job_uid = (meta.get("labels") or {}).get(JOB_LABEL)
    if job_uid is None:
        return None
    return WorkloadView(
        name=meta["name"],
        job_uid=job_uid,
        is_active=spec.get("active", True),
        words=_words((workload.get("status") or {}).get("conditions") or []),
    )


def release(config: KubernetesConfig, order: JobOrder) -> dict[str, Any]:
    """Return what is changed on a Job to let it run: at once, or when its queue admits it."""
    queue = config.queue_of(order.tenant)
    if queue is None:
        return {"spec": {"suspend": False}}
    return {"metadata": {"labels": {names.QUEUE_LABEL: queue}}}


def _words(conditions: list[Mapping[str, Any]]) -> str:
    """Say why a Workload has to wait, in Kueue's words."""
    by_type = {one["type"]: one for one in conditions}
    evicted, reserved = by_type.get("Evicted"), by_type.get("QuotaReserved")
    if evicted is not None and evicted["status"] == "True":
        return f"{evicted.get('reason')}: {evicted.get('message')}"
    if reserved is not None and reserved["status"] == "False":
        return f"{reserved.get('reason')}: {reserved.get('message')}"
    return ""
