"""Who we are to a Kubernetes cluster: contexts, tokens and programs that give them, rights."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.clusters.kubernetes import credentials
from connectors.clusters.kubernetes.cluster import KubernetesCluster
from connectors.errors import Rejected, Unavailable
from connectors.types import JobState
from tests.contracts.orders import order
from tests.contracts.waiting import seen_as
from tests.peers.kubernetes import Place
from tests.peers.kubernetes_client import kubernetes_cluster

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("gpu_node")]

EVERYONE = {"for": "everyone"}


def client(place: Place, **more: Any) -> KubernetesCluster:
    """Return a client of the node with four GPUs."""
    return kubernetes_cluster(place, EVERYONE, **more)


def read(place: Place) -> dict[str, Any]:
    """Return the kubeconfig."""
    config: dict[str, Any] = json.loads(place.kubeconfig.read_text())
    return config


async def test_a_token_that_is_over_is_unavailable_until_there_is_a_new_one(place: Place) -> None:
    """It says what is wrong; the kubeconfig is read again then."""
    good = place.kubeconfig.read_text()
    place.plane.kubeconfig(place.kubeconfig, "over", place.namespace)
    cluster = client(place)
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"401.*credentials are not accepted"):
            await cluster.observe()
    place.kubeconfig.write_text(good)
    assert await cluster.observe() == ()
    await cluster.close()


async def test_the_context_that_is_named_is_taken(place: Place) -> None:
    """Also where another is current."""
    config = read(place)
    config["contexts"].append(
        {"name": "other", "context": config["contexts"][0]["context"] | {"namespace": "nowhere"}}
    )
    config["current-context"] = "other"
    place.kubeconfig.write_text(json.dumps(config))
    cluster = client(place, context="test")
    assert (await cluster.identity()).startswith(f"{place.namespace}/")
    await cluster.close()
    cluster = client(place, context="third")
    with pytest.raises(Rejected, match="third"):
        await cluster.identity()
    await cluster.close()


async def test_a_kubeconfig_that_is_not_there_is_refused_by_name(
    place: Place, tmp_path: Path
) -> None:
    """And is looked for again with the next call."""
    path = tmp_path / "later"
    cluster = client(place, kubeconfig=path)
    with pytest.raises(Rejected, match="later"):
        await cluster.identity()
    path.write_text(place.kubeconfig.read_text())
    await cluster.identity()
    await cluster.close()


async def test_a_server_that_nobody_is_at_is_unavailable(place: Place) -> None:
    """It says which."""
    config = read(place)
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    place.kubeconfig.write_text(json.dumps(config))
    cluster = client(place)
    with pytest.raises(Unavailable, match="kubernetes: GET /api"):
        await cluster.observe()
    await cluster.close()


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_a_program_gives_the_token_and_is_asked_again_when_it_is_over(
    place: Place, tmp_path: Path, version: str
) -> None:
    """Before its time where it says when that is, and when it is refused."""
    config = read(place)
    token = config["users"][0]["user"]["token"]
    answers = tmp_path / "answers"
    over = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    ends = [
        {"token": "never-good"},
        {"token": token, "expirationTimestamp": over},
        {"token": token},
    ]
    answers.write_text("".join(json.dumps({"status": status}) + "\n" for status in ends))
    script = f'sed -n 1p {answers}; [ "$(wc -l < {answers})" = 1 ] || sed -i 1d {answers}'
    program = {
        "apiVersion": f"client.authentication.k8s.io/{version}",
        "command": "sh",
        "args": ["-c", script],
        "interactiveMode": "Never",
    }
    config["users"][0]["user"] = {"exec": program}
    place.kubeconfig.write_text(json.dumps(config))
    cluster = client(place)
    with pytest.raises(Unavailable, match="credentials are not accepted"):
        await cluster.identity()
    await cluster.identity()
    await cluster.identity()
    assert len(answers.read_text().splitlines()) == 1
    await cluster.close()


@pytest.mark.parametrize(
    ("program", "error", "named"),
    [
        ({"apiVersion": "client.authentication.k8s.io/v9", "command": "true"}, Rejected, "v9"),
        (
            {"apiVersion": "client.authentication.k8s.io/v1", "command": "/no/it"},
            Rejected,
            "/no/it",
        ),
        (
            {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": "sh",
                "args": ["-c", "echo log in first >&2; exit 1"],
            },
            Unavailable,
            "log in first",
        ),
        (
            {"apiVersion": "client.authentication.k8s.io/v1", "command": "true"},
            Unavailable,
            "token",
        ),
    ],
)
async def test_a_program_that_gives_no_token_is_named(
    place: Place, program: dict[str, Any], error: type[Exception], named: str
) -> None:
    """With its own words, where it has any."""
    config = read(place)
    config["users"][0]["user"] = {"exec": program}
    place.kubeconfig.write_text(json.dumps(config))
    cluster = client(place)
    with pytest.raises(error, match=named):
        await cluster.identity()
    await cluster.close()


async def test_within_a_cluster_the_account_of_the_pod_is_taken(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its token is read again when it has been replaced."""
    account = tmp_path / "account"
    account.mkdir()
    (account / "ca.crt").write_bytes(place.plane.certificate.read_bytes())
    (account / "namespace").write_text(place.namespace)
    (account / "token").write_text(read(place)["users"][0]["user"]["token"])
    host, port = place.plane.url.removeprefix("https://").split(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    monkeypatch.setattr(credentials, "ACCOUNT_FOLDER", str(account))
    cluster = client(place, kubeconfig=None)
    await cluster.submit(order("a", "exit 0"))
    await seen_as(cluster, "a", JobState.SUCCEEDED)
    await cluster.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/namespaces/{namespace}/secrets"),
        ("POST", "/api/v1/namespaces/{namespace}/pods"),
        ("POST", "/api/v1/namespaces/{namespace}/pods/any/exec"),
        ("DELETE", "/api/v1/namespaces/{namespace}/pods"),
        ("POST", "/apis/batch/v1/namespaces/default/jobs"),
        ("PATCH", "/api/v1/nodes/gpu-0"),
        ("GET", "/api/v1/namespaces"),
    ],
)
def test_the_account_may_do_no_more_than_the_connector_does(
    place: Place, method: str, path: str
) -> None:
    """The contract passes with these rights; what else one could want is refused."""
    headers = {"Authorization": f"Bearer {read(place)['users'][0]['user']['token']}"}
    headers["Content-Type"] = (
        "application/merge-patch+json" if method == "PATCH" else "application/json"
    )
    with httpx.Client(base_url=place.plane.url, verify=place.plane.tls(), headers=headers) as asked:
        reply = asked.request(method, path.format(namespace=place.namespace), content="{}")
    assert reply.status_code == 403


async def test_a_right_that_is_missing_is_refused_by_its_name(place: Place) -> None:
    """In the server's words, which say who may not do what."""
    role = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{place.namespace}/roles/gridtide"
    rules = place.plane.ask("GET", role)["rules"]
    rules[0]["verbs"].remove("create")
    place.plane.ask("PATCH", role, {"rules": rules})
    cluster = client(place)
    place.plane.until(lambda: _is_refused(place), "the right is gone")
    with pytest.raises(Rejected, match=r'cannot create resource "jobs".*batch'):
        await cluster.submit(order("a", "exit 0"))
    assert await cluster.observe() == ()
    await cluster.close()


def _is_refused(place: Place) -> bool:
    headers = {"Authorization": f"Bearer {read(place)['users'][0]['user']['token']}"}
    with httpx.Client(base_url=place.plane.url, verify=place.plane.tls(), headers=headers) as asked:
        return asked.post(place.jobs, content="{}").status_code == 403
