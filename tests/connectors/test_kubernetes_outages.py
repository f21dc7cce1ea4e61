"""A control plane of which parts die: nothing is assumed, and all is found again."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator

import pytest

from connectors.clusters.kubernetes.cluster import KubernetesCluster
from connectors.errors import Unavailable
from connectors.types import JobState
from tests.contracts.orders import endless, order
from tests.contracts.waiting import end_everything, seen, seen_as
from tests.peers.kubernetes import CLAIM, ControlPlane, Place
from tests.peers.kubernetes_client import kubernetes_cluster

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("gpu_node")]

EVERYONE = {"for": "everyone"}
UNTIL_GO = 'while [ ! -e "$GRIDTIDE_CHECKPOINT_DIR/go" ]; do sleep 0.02; done; exit 7'


@pytest.fixture(autouse=True)
def whole(control_plane: ControlPlane) -> Iterator[None]:
    """Whatever a test kills runs again after it."""
    yield
    control_plane.start_missing()


@pytest.fixture
async def cluster(place: Place) -> AsyncIterator[KubernetesCluster]:
    """A cluster of the node with four GPUs."""
    cluster = kubernetes_cluster(place, EVERYONE, call_timeout_s=5.0)
    yield cluster
    await cluster.close()


async def test_an_api_server_that_died_is_unavailable_and_then_found_again(
    cluster: KubernetesCluster, place: Place
) -> None:
    """Jobs go on meanwhile; what happened to them is seen then, and the memory is the same."""
    await cluster.submit(order("a", UNTIL_GO))
    await cluster.submit(endless("b"))
    await seen_as(cluster, "a", JobState.RUNNING)
    await seen_as(cluster, "b", JobState.RUNNING)
    identity = await cluster.identity()
    place.plane.kill("kube-apiserver")
    began = time.monotonic()
    for question in (cluster.observe, cluster.capacity, cluster.identity):
        with pytest.raises(Unavailable, match="kubernetes: "):
            await question()
    for command in (cluster.suspend("b"), cluster.submit(endless("c")), cluster.cancel("b")):
        with pytest.raises(Unavailable, match="kubernetes: "):
            await command
    assert time.monotonic() - began < 6.0
    for folder in (place.volumes / "claims" / place.namespace / CLAIM).iterdir():
        (folder / "go").touch()
    place.plane.start("kube-apiserver")
    place.plane.wait_until_ready()
    assert await cluster.identity() == identity
    job = await seen_as(cluster, "a", JobState.FAILED)
    assert (job.exit_code, job.starts) == (7, 1)
    assert {job.key for job in await cluster.observe()} == {"a", "b"}
    await end_everything(cluster)


async def test_a_pause_waits_for_controllers_that_are_down(
    cluster: KubernetesCluster, place: Place
) -> None:
    """It is asked for once, and carried out when they are back, also if we are gone by then."""
    await cluster.submit(endless("a"))
    await seen_as(cluster, "a", JobState.RUNNING)
    place.plane.kill("kube-controller-manager")
    await cluster.suspend("a")
    job = await seen(cluster, "a")
    assert (job.state, job.gpus) == (JobState.RUNNING, 1)
    assert "leaving" in job.reason
    await cluster.close()
    place.plane.start("kube-controller-manager")
    another = kubernetes_cluster(place, EVERYONE)
    await seen_as(another, "a", JobState.SUSPENDED)
    await end_everything(another)
    await another.close()


async def test_a_job_without_a_scheduler_is_queued(
    cluster: KubernetesCluster, place: Place
) -> None:
    """It holds its GPUs all the same, and starts when there is one."""
    place.plane.kill("kube-scheduler")
    await cluster.submit(endless("a", 3))
    job = await seen(cluster, "a")
    assert (job.state, job.gpus) == (JobState.QUEUED, 0)
    (pool,) = await cluster.capacity()
    assert pool.gpus_in_use == 3
    place.plane.start("kube-scheduler")
    await seen_as(cluster, "a", JobState.RUNNING)
    await end_everything(cluster)


async def test_one_who_follows_a_log_is_told_that_the_server_died(
    cluster: KubernetesCluster, place: Place
) -> None:
    """Rather than that the job has ended."""
    await cluster.submit(endless("a"))
    lines = cluster.logs("a", follow=True)
    assert await anext(lines) == "up"
    place.plane.kill("kube-apiserver")
    with pytest.raises(Unavailable):
        await anext(lines)
    place.plane.start("kube-apiserver")
    place.plane.wait_until_ready()
    await end_everything(cluster)


async def test_a_namespace_that_is_gone_is_no_empty_cluster(
    cluster: KubernetesCluster, place: Place
) -> None:
    """The memory is lost: nothing may be concluded from it."""
    await cluster.identity()
    place.plane.ask("DELETE", f"/api/v1/namespaces/{place.namespace}")
    with pytest.raises(Unavailable, match="being deleted"):
        await cluster.identity()
