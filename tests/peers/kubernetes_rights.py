"""Gridtide's own account in a test cluster, with the rights that ``deploy/kubernetes`` gives it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.peers.kubernetes import ControlPlane

RIGHTS = Path(__file__).parents[2] / "deploy" / "kubernetes" / "rights.yaml"
_OF_JOBS = "gridtide-jobs"  # in the file; each test has a namespace of its own
_ACCOUNT = "/api/v1/namespaces/gridtide/serviceaccounts/gridtide"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_PATHS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/{namespace}/serviceaccounts",
    "Role": f"{_RBAC}/namespaces/{{namespace}}/roles",
    "RoleBinding": f"{_RBAC}/namespaces/{{namespace}}/rolebindings",
    "ClusterRole": f"{_RBAC}/clusterroles",
    "ClusterRoleBinding": f"{_RBAC}/clusterrolebindings",
}


def grant(plane: ControlPlane, namespace: str) -> str:
    """Apply the file with ``namespace`` for that of the jobs; return a token of the account."""
    for document in yaml.safe_load_all(RIGHTS.read_text()):
        _apply(plane, document, namespace)
    answer = plane.ask("POST", f"{_ACCOUNT}/token", {"spec": {"expirationSeconds": 3600}})
    token: str = answer["status"]["token"]
    return token


def _apply(plane: ControlPlane, document: dict[str, Any], namespace: str) -> None:
    meta = document["metadata"]
    if meta.get("namespace") == _OF_JOBS:
        meta["namespace"] = namespace
    path = _PATHS[document["kind"]].format(namespace=meta.get("namespace"))
    known = {one["metadata"]["name"] for one in plane.ask("GET", path)["items"]}
    if meta["name"] not in known | {_OF_JOBS}:
        plane.ask("POST", path, document)
