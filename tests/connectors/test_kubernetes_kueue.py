"""A cluster that Kueue hands out: it starts what has room in its queue, and may take it back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connectors.clusters.kubernetes.cluster import KubernetesCluster
from connectors.types import JobState
from tests.contracts.orders import endless, order
from tests.contracts.waiting import end_everything, seen_as, seen_for
from tests.peers import kueue
from tests.peers.kubernetes import Place
from tests.peers.kubernetes_client import kubernetes_cluster

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("gpu_node", "kueue_runs")]


@pytest.fixture
async def cluster(place: Place) -> AsyncIterator[KubernetesCluster]:
    """A cluster of the node with four GPUs; two of them for everybody, one for a tenant."""
    kueue.make_queue(place.plane, place.namespace, "everybody", 2)
    kueue.make_queue(place.plane, place.namespace, "research", 1)
    queues = {"queue": "everybody", "queues": {"research": "research"}}
    cluster = kubernetes_cluster(place, {"for": "everyone"}, **queues)
    yield cluster
    await end_everything(cluster)
    await cluster.close()


async def test_a_job_waits_for_room_in_its_queue(cluster: KubernetesCluster) -> None:
    """In Kueue's words, and starts when there is."""
    await cluster.submit(endless("a", 2))
    await cluster.submit(order("b", "exit 0", 1))
    await seen_as(cluster, "a", JobState.RUNNING)
    job = await seen_for(cluster, "b", "Pending: .*insufficient unused quota")
    assert (job.state, job.starts) == (JobState.QUEUED, 0)
    await cluster.cancel("a")
    assert (await seen_as(cluster, "b", JobState.SUCCEEDED)).exit_code == 0
    assert (await seen_as(cluster, "a", JobState.CANCELLED)).gpus == 0


async def test_a_tenant_has_a_queue_of_its_own(cluster: KubernetesCluster, place: Place) -> None:
    """By the name of the tenant in the order."""
    await cluster.submit(endless("a", 1, tenant="research"))
    await cluster.submit(endless("b", 1))
    await seen_as(cluster, "a", JobState.RUNNING)
    await seen_as(cluster, "b", JobState.RUNNING)
    found = {one["spec"]["queueName"] for one in kueue.workloads(place.plane, place.namespace)}
    assert found == {"research", "everybody"}


async def test_a_pause_gives_the_room_in_the_queue_back(cluster: KubernetesCluster) -> None:
    """Kueue does not start it again by itself; to resume it queues it anew, as a continuation."""
    script = "echo $GRIDTIDE_IS_CONTINUATION; exec sleep 600"
    await cluster.submit(order("a", script, 2))
    await seen_as(cluster, "a", JobState.RUNNING)
    await cluster.suspend("a")
    await seen_as(cluster, "a", JobState.SUSPENDED)
    await cluster.submit(endless("b", 2))
    await seen_as(cluster, "b", JobState.RUNNING)
    await cluster.resume(order("a", script, 2))
    await seen_for(cluster, "a", "Pending: ")
    await cluster.cancel("b")
    assert (await seen_as(cluster, "a", JobState.RUNNING)).starts == 2
    # What an earlier run printed goes with its pod, which Kueue takes in its time.
    assert [line async for line in cluster.logs("a")][-1] == "1"


async def test_a_job_in_the_queue_leaves_it_unstarted(cluster: KubernetesCluster) -> None:
    """Paused or cancelled, it is started no more."""
    await cluster.submit(endless("a", 2))
    await cluster.submit(endless("b", 1))
    await cluster.submit(endless("c", 1))
    for key in ("b", "c"):
        await seen_for(cluster, key, "Pending: ")
    await cluster.suspend("b")
    await cluster.cancel("c")
    assert (await seen_as(cluster, "b", JobState.SUSPENDED)).starts == 0
    assert (await seen_as(cluster, "c", JobState.CANCELLED)).starts == 0
    await cluster.cancel("a")
    await seen_as(cluster, "a", JobState.CANCELLED)
    assert (await seen_as(cluster, "b", JobState.SUSPENDED)).starts == 0


async def test_what_kueue_preempts_is_paused_and_can_go_on(
    cluster: KubernetesCluster, place: Place
) -> None:
    """Kueue would start the same run again, which would not know that it is a continuation."""
    script = "echo $GRIDTIDE_IS_CONTINUATION; exec sleep 600"
    await cluster.submit(order("a", script, 2))
    await seen_as(cluster, "a", JobState.RUNNING)
    (workload,) = kueue.workloads(place.plane, place.namespace)
    kueue.evict(place.plane, workload, "Preempted to accommodate another")
    job = await seen_as(cluster, "a", JobState.SUSPENDED)
    assert (job.starts, job.gpus) == (1, 0)
    await cluster.resume(order("a", script, 2))
    assert (await seen_as(cluster, "a", JobState.RUNNING)).starts == 2
    # What an earlier run printed goes with its pod, which Kueue takes in its time.
    assert [line async for line in cluster.logs("a")][-1] == "1"
