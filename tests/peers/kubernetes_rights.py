"""Our accounts in a test cluster, with the rights that ``deploy/kubernetes`` gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.peers.kubernetes import ControlPlane

DEPLOYED = Path(__file__).parents[2] / "deploy" / "kubernetes"
NODE_AGENT = DEPLOYED / "node-agent.yaml"
NODE_AGENT_POLICY = DEPLOYED / "node-agent-policy.yaml"
_OF_JOBS = "gridtide-jobs"  # in the file; each test has a namespace of its own
ACCOUNT = "/api/v1/namespaces/gridtide/serviceaccounts/gridtide"
_AGENT_ACCOUNT = "/api/v1/namespaces/gridtide-node/serviceaccounts/gridtide-node-agent"
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_PATHS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/{namespace}/serviceaccounts",
    "Role": f"{_RBAC}/namespaces/{{namespace}}/roles",
    "RoleBinding": f"{_RBAC}/namespaces/{{namespace}}/rolebindings",
    "ClusterRole": f"{_RBAC}/clusterroles",
    "ClusterRoleBinding": f"{_RBAC}/clusterrolebindings",
    "ValidatingAdmissionPolicy": f"{_ADMISSION}/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": f"{_ADMISSION}/validatingadmissionpolicybindings",
    "DaemonSet": "/apis/apps/v1/namespaces/{namespace}/daemonsets",
}


def grant(plane: ControlPlane, namespace: str) -> str:
    """Apply the file with ``namespace`` for that of the jobs; return a token of the scheduler."""
    _apply_all(plane, DEPLOYED / "rights.yaml", namespace)
    return _token(plane, ACCOUNT)


def grant_node_agent(plane: ControlPlane, namespace: str, node: str) -> str:
    """Apply the files of the agents on nodes; return a token as the one on ``node`` has it."""
    pod = {
        "metadata": {"name": f"agent-{node}"},
        "spec": {
            "nodeName": node,
            "serviceAccountName": "gridtide-node-agent",
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "agent", "image": "none", "command": ["sleep", "600"]}],
        },
    }
    _apply_all(plane, NODE_AGENT_POLICY, namespace)
    _apply_all(plane, NODE_AGENT, namespace)
    path = "/api/v1/namespaces/gridtide-node/pods"
    known = {one["metadata"]["name"]: one for one in plane.ask("GET", path)["items"]}
    made = known.get(f"agent-{node}") or plane.ask("POST", path, pod)
    uid = made["metadata"]["uid"]
    bound = {"apiVersion": "v1", "kind": "Pod", "name": f"agent-{node}", "uid": uid}
    return _token(plane, _AGENT_ACCOUNT, boundObjectRef=bound)


def _apply_all(plane: ControlPlane, file: Path, namespace: str) -> None:
    for document in yaml.safe_load_all(file.read_text()):
        _apply(plane, document, namespace)


def _token(plane: ControlPlane, account: str, **more: object) -> str:
    answer = plane.ask("POST", f"{account}/token", {"spec": {"expirationSeconds": 3600, **more}})
    token: str = answer["status"]["token"]
    return token


def _apply(plane: ControlPlane, document: dict[str, Any], namespace: str) -> None:
    meta = document["metadata"]
    if meta.get("namespace") == _OF_JOBS:
        meta["namespace"] = namespace
    path = _PATHS[document["kind"]].format(namespace=meta.get("namespace"))
    known = {one["metadata"]["name"] for one in plane.ask("GET", path)["items"]}
    if meta["name"] not in known | {_OF_JOBS}:
        plane.ask("POST", f"{path}?fieldValidation=Strict", document)
