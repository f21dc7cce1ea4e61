"""An API server and a node whose clocks are ten minutes from ours."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.clusters.kubernetes.cluster import KubernetesCluster
from connectors.types import JobState
from tests.contracts.orders import order
from tests.contracts.waiting import end_everything, printed, seen_as
from tests.peers import containers, kubelet
from tests.peers.gate import Gate
from tests.peers.kubernetes import ADMIN_TOKEN, Place
from tests.peers.kubernetes_client import kubernetes_cluster

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("gpu_node")]

TEN_MINUTES_S = 600.0
WORKS = "trap 'exit 0' TERM; echo up; while :; do sleep 0.02; done"


@pytest.fixture(params=[TEN_MINUTES_S, -TEN_MINUTES_S], ids=["ahead", "behind"])
def ahead_s(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """How far the clocks there are ahead; the node's is so from now on."""
    ahead: float = request.param

    def now() -> str:
        there = datetime.now(UTC) + timedelta(seconds=ahead)
        return there.strftime("%Y-%m-%dT%H:%M:%SZ")

    for of_node in (containers, kubelet):
        monkeypatch.setattr(of_node, "now", now)
    return ahead


@pytest.fixture
def gate(place: Place, ahead_s: float) -> Iterator[Gate]:
    """The way to the API server, whose answers are dated by its clock."""
    outside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    outside.load_cert_chain(place.plane.certificate, place.plane.certificate_key)
    inside = place.plane.tls()
    inside.check_hostname = False
    gate = Gate(place.plane.port, outside, inside)
    gate.clock_ahead_s = ahead_s
    gate.start()
    yield gate
    gate.stop()


@pytest.fixture
async def cluster(place: Place, gate: Gate, tmp_path: Path) -> AsyncIterator[KubernetesCluster]:
    """A cluster of the node with four GPUs, behind the gate."""
    file = tmp_path / "kubeconfig"
    place.plane.kubeconfig(file, ADMIN_TOKEN, place.namespace, gate.port)
    cluster = kubernetes_cluster(place, {"for": "everyone"}, kubeconfig=file)
    yield cluster
    await end_everything(cluster)
    await cluster.close()


async def test_how_far_its_clock_is_ahead_is_told_by_what_dates_its_answers(
    cluster: KubernetesCluster, ahead_s: float
) -> None:
    """Within a second or two."""
    assert await cluster.clock_ahead_s() == pytest.approx(ahead_s, abs=2.0)


async def test_jobs_are_started_once_paused_and_go_on(
    cluster: KubernetesCluster, ahead_s: float
) -> None:
    """Their instants are by the clock of their node."""
    began = datetime.now(UTC)
    await cluster.submit(order("a", WORKS))
    await printed(cluster, "a", "up")
    job = await seen_as(cluster, "a", JobState.RUNNING)
    assert job.started_at is not None
    assert (job.started_at - began).total_seconds() == pytest.approx(ahead_s, abs=30.0)
    await cluster.suspend("a")
    assert (await seen_as(cluster, "a", JobState.SUSPENDED)).exit_code == 0
    await cluster.resume(order("a", "exit 0"))
    assert (await seen_as(cluster, "a", JobState.SUCCEEDED)).starts == 2
