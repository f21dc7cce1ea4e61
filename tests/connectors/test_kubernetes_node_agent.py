"""The agent on a node: what it reads of the kubelet, its command line, its rights, its manifest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from connectors.clusters.kubernetes.node.main import parser
from connectors.clusters.kubernetes.node.pod_resources import Given, PodResources, read_answer
from connectors.clusters.kubernetes.node.pods import node_pod
from connectors.clusters.kubernetes.node.records import Record, Records
from connectors.clusters.kubernetes.node.wire import fields_of
from connectors.errors import ContractBroken, Unavailable
from tests.peers.kubelet import FakeKubelet
from tests.peers.kubernetes import ControlPlane, Place
from tests.peers.kubernetes_rights import NODE_AGENT, grant_node_agent
from tests.peers.nvidia_smi import uuid_of
from tests.peers.pod_resources import PodResourcesSocket
from tests.peers.processes import wait_until


def pod(name: str, **devices: list[str]) -> dict[str, Any]:
    """Return a pod of one container as the socket of a test shows it."""
    of_container = {resource.replace("_", "/"): ids for resource, ids in devices.items()}
    named = {"Name": name, "Namespace": "jobs", "UID": f"uid-{name}"}
    return {**named, "Containers": {"job": of_container}}


@pytest.mark.peer
async def test_the_kubelet_is_understood(kubelet_socket: PodResourcesSocket) -> None:
    """It is its own code that answers; what is of no GPU is left out, processors and memory too."""
    kubelet_socket.show(
        [
            pod("two", **{"nvidia.com_gpu": [uuid_of(3), uuid_of(1)]}),
            pod("none"),
            pod("other", **{"example.com_fpga": ["f-1"]}),
            pod("both", **{"nvidia.com_gpu": [uuid_of(2)], "example.com_fpga": ["f-2"]}),
            pod("shared", **{"nvidia.com_gpu.shared": [f"{uuid_of(0)}::0", f"{uuid_of(0)}::1"]}),
        ]
    )
    given = await PodResources(kubelet_socket.path).given()
    shared = given.pop(("jobs", "shared"))  # type: ignore[attr-defined]
    assert given == {
        ("jobs", "two"): Given((uuid_of(1), uuid_of(3))),
        ("jobs", "both"): Given((uuid_of(2),)),
    }
    words = f"GPU {uuid_of(0)} is shared by pods, must be of one alone to have a cap of its own"
    assert shared == Given(refusal=words)


@pytest.mark.peer
async def test_many_pods_are_more_than_grpc_takes_by_itself(
    kubelet_socket: PodResourcesSocket,
) -> None:
    """Four MiB are its limit."""
    gpus = [uuid_of(index) for index in range(80_000)]
    kubelet_socket.show([pod("many", **{"nvidia.com_gpu": gpus})])
    given = await PodResources(kubelet_socket.path).given()
    assert len(given["jobs", "many"].gpus) == 80_000


async def test_a_socket_that_nobody_is_at_is_unavailable(tmp_path: Path) -> None:
    """It says which."""
    with pytest.raises(Unavailable, match=r"kubelet at .*none: UNAVAILABLE"):
        await PodResources(tmp_path / "none").given()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"\x0a\x05ab", "5 bytes are to follow, 2 do"),
        (b"\x0a", "no number ends"),
        (b"\x80" * 12, "no number ends within 10 bytes"),
        (b"\x0b", "a field of kind 3"),
        (b"\x09\x00", "8 bytes are to follow, 1 do"),
        (b"\x0a\x09\x1a\x07\x12\x05\x0a\x03\xff\xfe\xfd", "is no text"),
    ],
)
def test_an_answer_that_is_none_is_refused(answer: bytes, words: str) -> None:
    """With the place."""
    with pytest.raises(ContractBroken, match=words):
        read_answer(answer)


def test_fields_that_nobody_asks_for_are_passed_over() -> None:
    """Of every kind, so that what a newer kubelet adds does no harm."""
    message = b"\x20\x96\x01" + b"\x29" + b"8" * 8 + b"\x35" + b"4" * 4 + b"\xa2\x06\x01x\x0a\x02hi"
    assert dict(fields_of(message)) == {100: [b"x"], 1: [b"hi"]}


@pytest.mark.parametrize(
    ("phase", "limits", "is_kept"),
    [
        ("Pending", {"nvidia.com/gpu": "1"}, True),
        ("Running", {"nvidia.com/mig-1g.10gb": "1"}, True),
        ("Running", {"amd.com/gpu": "1"}, False),
        ("Running", {}, False),
        ("Succeeded", {"nvidia.com/gpu": "1"}, False),
        ("Failed", {"nvidia.com/gpu": "1"}, False),
    ],
)
def test_pods_with_gpus_are_looked_after_until_they_are_over(
    phase: str, limits: dict[str, str], is_kept: bool
) -> None:
    """Others are none of ours."""
    one = {
        "metadata": {"uid": "u", "namespace": "jobs", "name": "a"},
        "spec": {"containers": [{"resources": {"limits": limits}}, {}]},
        "status": {"phase": phase},
    }
    assert (node_pod(one) is not None) == is_kept


def test_a_record_that_is_spoilt_hides_no_other(tmp_path: Path) -> None:
    """It is named in the log."""
    records = Records(tmp_path)
    records.add(Record("u-1", "jobs", "a", (uuid_of(0),)))
    records.add(Record("u-2", "jobs", "b", (uuid_of(1),)))
    (tmp_path / "u-1.json").write_text(json.dumps({"uid": "u-1"}))
    assert list(Records(tmp_path)) == [Record("u-2", "jobs", "b", (uuid_of(1),))]


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["--namespace=jobs"], "--node"),
        (["--node=n1"], "--namespace"),
        (["--node=", "--namespace=jobs"], "'', must be a name"),
        (["--node=n1,metadata.name=x", "--namespace=jobs"], "must be a name in the cluster"),
        (["--node=n1", "--namespace=jobs", "--check-every=0"], "must be > 0"),
        (["--node=n1", "--namespace=jobs", "--check-every=often"], "--check-every"),
    ],
)
def test_wrong_usage_is_named(
    words: list[str], wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And ends with the code for it."""
    with pytest.raises(SystemExit, match="2"):
        parser().parse_args(words)
    assert wrong in capsys.readouterr().err


def test_it_loads_neither_the_scheduler_nor_what_that_needs() -> None:
    """It is root on every GPU node, beside the jobs."""
    script = "import connectors.clusters.kubernetes.node.main, sys; print(*sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout.split()
    unwanted = {"scheduler", "optimizer", "sqlalchemy", "fastapi", "pandas", "numpy", "pyomo"}
    assert "grpc" in said
    assert unwanted.isdisjoint(said)


def daemon_set() -> dict[str, Any]:
    """Return the DaemonSet of the manifest."""
    documents = yaml.safe_load_all(NODE_AGENT.read_text())
    (found,) = (one for one in documents if one["kind"] == "DaemonSet")
    return dict(found)


def test_the_manifest_starts_the_agent_with_what_it_mounts() -> None:
    """The words are of its command line, and its files are below the mounts."""
    (container,) = daemon_set()["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["gridtide-node-agent"]
    asked = parser().parse_args([word.replace("$(NODE_NAME)", "n1") for word in container["args"]])
    assert (asked.node, asked.namespaces) == ("n1", ["gridtide-jobs"])
    assert container["env"][0]["name"] == "NODE_NAME"
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert str(asked.socket.parent) in mounts
    assert str(asked.state.parent) in mounts
    image = (NODE_AGENT.parents[1] / "Dockerfile").read_text()
    script, folder = "deploy/node/gridtide-power-cap", f"{Path(asked.command).parent}/"
    assert f"COPY --chmod=755 {script} {folder}\n" in image


@pytest.fixture
def asked(gpu_node: FakeKubelet, place: Place) -> httpx.Client:
    """Ask the API server with the rights of the agent on a node."""
    token = grant_node_agent(place.plane, place.namespace, gpu_node.name)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/merge-patch+json"}
    return httpx.Client(base_url=place.plane.url, verify=place.plane.tls(), headers=headers)


@pytest.mark.peer
def test_its_pod_is_admitted_in_its_namespace_and_in_no_other(
    control_plane: ControlPlane, place: Place, asked: httpx.Client
) -> None:
    """What it may do is not for a namespace that keeps to the baseline of pod security."""
    asked.close()
    runtimes = "/apis/node.k8s.io/v1/runtimeclasses"
    if not control_plane.ask("GET", runtimes)["items"]:
        control_plane.ask("POST", runtimes, {"metadata": {"name": "nvidia"}, "handler": "nvidia"})
    template = daemon_set()["spec"]["template"]
    body = {**template, "metadata": {**template["metadata"], "name": "agent"}}
    pods = "/api/v1/namespaces/{}/pods?dryRun=All&fieldValidation=Strict"
    made = control_plane.ask("POST", pods.format("gridtide-node"), body)
    assert made["spec"]["serviceAccountName"] == "gridtide-node-agent"
    labels = {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}
    control_plane.ask("PATCH", f"/api/v1/namespaces/{place.namespace}", {"metadata": labels})
    body["spec"] = {**template["spec"], "serviceAccountName": "default"}

    def is_refused() -> bool:
        try:
            control_plane.ask("POST", pods.format(place.namespace), body)
        except AssertionError as refused:
            return "violates PodSecurity" in str(refused)
        return False

    wait_until(is_refused, "the API server has heard of the label of the namespace")


@pytest.mark.peer
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/namespaces/{namespace}/secrets"),
        ("GET", "/api/v1/namespaces/{namespace}/pods/any"),
        ("POST", "/api/v1/namespaces/{namespace}/pods"),
        ("PATCH", "/api/v1/namespaces/{namespace}/pods/any"),
        ("DELETE", "/api/v1/namespaces/{namespace}/pods/any"),
        ("POST", "/api/v1/namespaces/{namespace}/pods/any/exec"),
        ("GET", "/apis/batch/v1/namespaces/{namespace}/jobs"),
        ("GET", "/api/v1/pods"),
        ("PATCH", "/api/v1/namespaces/default/pods/any/status"),
        ("GET", "/api/v1/nodes"),
        ("GET", "/api/v1/namespaces/{namespace}"),
    ],
)
def test_it_may_do_no_more_than_it_does(
    asked: httpx.Client, place: Place, method: str, path: str
) -> None:
    """Caps of other tests are set with these rights; what else one could want is refused."""
    with asked:
        reply = asked.request(method, path.format(namespace=place.namespace), content="{}")
    assert reply.status_code == 403


CAPPED = {"gridtide.dev/power-cap-in-force": "1"}


def make_pod(place: Place, name: str, node: str) -> None:
    """Make a pod that is bound to a node, there or not."""
    command = ["sleep", "600"]
    spec = {"containers": [{"name": "job", "image": "good", "command": command}], "nodeName": node}
    notes: dict[str, Any] = {"labels": {"a": "1"}, "annotations": {"b": "2", "c": "3"}}
    notes["finalizers"] = ["batch.kubernetes.io/a"]
    place.plane.ask("POST", place.pods, {"metadata": {"name": name, **notes}, "spec": spec})


@pytest.mark.peer
def test_it_writes_annotations_and_can_change_no_image(
    asked: httpx.Client, place: Place, gpu_node: FakeKubelet
) -> None:
    """Who may patch pods themselves may have any of them run what he likes."""
    make_pod(place, "a", gpu_node.name)
    worse = {"containers": [{"name": "job", "image": "bad"}]}
    body = {"metadata": {"annotations": CAPPED}, "spec": worse}
    with asked:
        reply = asked.patch(f"{place.pods}/a/status", content=json.dumps(body))
    assert reply.status_code == 200
    found = place.plane.ask("GET", f"{place.pods}/a")
    assert found["metadata"]["annotations"] == {"b": "2", "c": "3", **CAPPED}
    assert found["spec"]["containers"][0]["image"] == "good"


@pytest.mark.peer
@pytest.mark.parametrize(
    ("node", "body", "words"),
    [
        ("elsewhere", {"metadata": {"annotations": CAPPED}}, "pods of its own node only"),
        ("gpu-0", {"status": {"reason": "Evicted"}}, "annotations only"),
        ("gpu-0", {"metadata": {"labels": {"a": "2"}}}, "annotations only"),
        ("gpu-0", {"metadata": {"finalizers": None}}, "annotations only"),
        ("gpu-0", {"metadata": {"finalizers": ["batch.kubernetes.io/b"]}}, "annotations only"),
        ("gpu-0", {"metadata": {"annotations": {"b": "9"}}}, "its own annotation only"),
        ("gpu-0", {"metadata": {"annotations": {"b": None}}}, "its own annotation only"),
        ("gpu-0", {"metadata": {"annotations": {"d": "4"}}}, "its own annotation only"),
    ],
)
def test_the_policy_holds_an_agent_to_its_annotation_on_its_node(
    asked: httpx.Client, place: Place, node: str, body: dict[str, Any], words: str
) -> None:
    """Its rights alone would allow each of these."""
    make_pod(place, "a", node)

    def is_denied() -> bool:
        reply = asked.patch(f"{place.pods}/a/status?dryRun=All", content=json.dumps(body))
        return reply.status_code == 422 and words in reply.text

    with asked:
        place.plane.until(is_denied, f"it is denied: {words}")
