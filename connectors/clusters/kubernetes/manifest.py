"""The Job of one run, as it is given to the cluster: suspended, so that it starts nothing yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.clusters.kubernetes import names
from connectors.clusters.kubernetes.config import KubernetesConfig, KubernetesPool, Toleration
from connectors.clusters.kubernetes.gpus import Parts
from connectors.clusters.kubernetes.orders import as_text, grace_s
from connectors.errors import Rejected
from connectors.types import JobOrder

CHECKPOINTS_AT = "/gridtide/checkpoint"
_DATA_AT = "/gridtide/data"
_NOTES_AT = "/gridtide/notes"
_POWER_CAP_FILE = "power_cap_w"
# What says which GPUs a container sees is for the node to set.
_OF_THE_NODE = {"CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"}


@dataclass(frozen=True, slots=True)
class Run:
    """One run to be made: how often the job was started before, and how it is cut."""

    number: int
    restarts: int
    parts: Parts


def cap_text(power_cap_w: float | None) -> str:
    """Return a cap as its annotation and the file in the container have it."""
    return "" if power_cap_w is None else f"{power_cap_w!r}"


def make_job(order: JobOrder, run: Run, config: KubernetesConfig) -> dict[str, Any]:
    """Return the Job of one run.

    Raises
    ------
    Rejected
        Neither the order nor its pool names a container image, or orders of its data would share
        no volume.
    """
    pool = config.pool(order.pool)
    if pool is None:
        raise Rejected(f"job {order.key}: no pool {order.pool!r}")
    if order.data is not None and config.checkpoints is None:
        raise Rejected(
            f"job {order.key}: data = {order.data!r}, must be in a volume that all pods share:"
            " the cluster has no checkpoint_claim or checkpoint_path"
        )
    labels = {
        names.MANAGED_BY: names.OURS,
        names.KEY_LABEL: names.key_label(order.key),
        names.RUN_LABEL: str(run.number),
    }
    cap = {names.POWER_CAP: cap_text(order.power_cap_w)}
    is_cut = run.parts.n_pods > 1
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": names.job_name(order.key, run.number),
            "labels": labels,
            "annotations": {names.KEY: order.key, names.ORDER: as_text(order), **cap},
        },
        "spec": {
            "suspend": True,
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "completions": run.parts.n_pods,
            "parallelism": run.parts.n_pods,
            "completionMode": "Indexed" if is_cut else "NonIndexed",
            "template": {
                "metadata": {"labels": labels, "annotations": cap},
                "spec": _pod(order, run, pool, config),
            },
        },
    }


def _pod(
    order: JobOrder, run: Run, pool: KubernetesPool, config: KubernetesConfig
) -> dict[str, Any]:
    image = order.image or pool.image
    if not image:
        raise Rejected(f"job {order.key}: image is not given, and pool {pool.name} has none either")
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": grace_s(order),
        "automountServiceAccountToken": config.service_account is not None,
        "containers": [_container(order, run, pool, config, image)],
        "volumes": _volumes(config),
    }
    optional = {
        "nodeSelector": dict(pool.node_selector),
        "tolerations": [_toleration(one) for one in pool.tolerations],
        "priorityClassName": pool.priority_class,
        "runtimeClassName": pool.runtime_class,
        "serviceAccountName": config.service_account,
        "imagePullSecrets": [{"name": name} for name in config.image_pull_secrets],
        "subdomain": config.headless_service if run.parts.n_pods > 1 else None,
    }
    return spec | {name: value for name, value in optional.items() if value}


def _container(
    order: JobOrder, run: Run, pool: KubernetesPool, config: KubernetesConfig, image: str
) -> dict[str, Any]:
    variables = environment(order, run, config)
    container: dict[str, Any] = {
        "name": names.CONTAINER,
        "image": image,
        "command": [verbatim(word) for word in order.command],
        "env": [{"name": name, "value": verbatim(value)} for name, value in variables.items()],
        "volumeMounts": [
            {
                "name": "checkpoints",
                "mountPath": CHECKPOINTS_AT,
                **({"subPath": names.folder_name(order.key)} if config.checkpoints else {}),
            },
            {"name": "notes", "mountPath": _NOTES_AT, "readOnly": True},
        ],
    }
    if order.data is not None:
        where = {"subPath": f"{names.folder_name(order.data)}-data"}
        container["volumeMounts"].append({"name": "checkpoints", "mountPath": _DATA_AT, **where})
    if run.parts.gpus_each > 0:
        container["resources"] = {"limits": {pool.resource: str(run.parts.gpus_each)}}
    return container


def environment(order: JobOrder, run: Run, config: KubernetesConfig) -> dict[str, str]:
    """Return the variables of a run; what the cluster sets wins over what the order asks."""
    asked = {n: v for n, v in order.environment.items() if n not in _OF_THE_NODE}
    asked.pop("GRIDTIDE_POWER_CAP_W", None)
    if order.power_cap_w is not None:
        asked["GRIDTIDE_POWER_CAP_W"] = f"{order.power_cap_w:g}"
    first = f"{names.job_name(order.key, run.number)}-0"
    main = {"GRIDTIDE_MAIN_HOST": f"{first}.{config.headless_service}"}
    parts = {"GRIDTIDE_NODES": str(run.parts.n_pods)}
    is_addressed = run.parts.n_pods > 1 and config.headless_service is not None
    return {
        **asked,
        "GRIDTIDE_JOB_KEY": order.key,
        "GRIDTIDE_RESTARTS": str(run.restarts),
        "GRIDTIDE_IS_CONTINUATION": "1" if run.restarts else "0",
        "GRIDTIDE_CHECKPOINT_DIR": CHECKPOINTS_AT,
        "GRIDTIDE_POWER_CAP_FILE": f"{_NOTES_AT}/{_POWER_CAP_FILE}",
        **({} if order.data is None else {"GRIDTIDE_DATA_DIR": _DATA_AT}),
        **(parts if run.parts.n_pods > 1 else {}),
        **(main if is_addressed else {}),
    }


def verbatim(text: str) -> str:
    """Return ``text`` so that nothing in it is replaced: it would be for ``$(NAME)`` and ``$$``."""
    return text.replace("$", "$$")


def _volumes(config: KubernetesConfig) -> list[Mapping[str, Any]]:
    where: Mapping[str, Any] = {"emptyDir": {}}
    if config.checkpoints is not None and config.checkpoints.claim is not None:
        where = {"persistentVolumeClaim": {"claimName": config.checkpoints.claim}}
    elif config.checkpoints is not None:
        path = config.checkpoints.host_path
        where = {"hostPath": {"path": path, "type": "DirectoryOrCreate"}}
    cap = {"fieldPath": f"metadata.annotations['{names.POWER_CAP}']"}
    notes = {"items": [{"path": _POWER_CAP_FILE, "fieldRef": cap}]}
    return [{"name": "checkpoints", **where}, {"name": "notes", "downwardAPI": notes}]


def _toleration(one: Toleration) -> dict[str, str]:
    operator = {"operator": "Exists"} if one.value is None else {"value": one.value}
    effect = {} if one.effect is None else {"effect": one.effect}
    return {"key": one.key, **operator, **effect}
