"""How a job of a Kubernetes cluster ended or why it waits: each kind in its own words."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connectors.clusters.kubernetes.cluster import KubernetesCluster, KubernetesPool
from connectors.types import JobOrder, JobState
from tests.contracts.orders import POOL, endless, order
from tests.contracts.waiting import end_everything, seen, seen_as, seen_for
from tests.fixtures.kubernetes import NodeMaker
from tests.peers.kubelet import FakeKubelet
from tests.peers.kubernetes import Place
from tests.peers.kubernetes_client import kubernetes_cluster, pod_of

pytestmark = pytest.mark.peer


@pytest.fixture
def node(make_node: NodeMaker) -> FakeKubelet:
    """A node of this test's own, with four GPUs."""
    return make_node(4)


@pytest.fixture
async def cluster(place: Place, node: FakeKubelet) -> AsyncIterator[KubernetesCluster]:
    """A cluster of that node."""
    cluster = kubernetes_cluster(place, {"for": place.namespace})
    yield cluster
    await cluster.close()


async def test_an_image_that_cannot_be_pulled_is_why_it_waits(
    cluster: KubernetesCluster, node: FakeKubelet
) -> None:
    """It is queued with the reason, holds its GPUs, and goes on once the image is there."""
    node.bad_images.add("wrong")
    await cluster.submit(JobOrder("a", ("true",), POOL, 2, image="wrong"))
    job = await seen_for(cluster, "a", r"(ErrImagePull|ImagePullBackOff).*wrong")
    assert (job.state, job.starts, job.gpus) == (JobState.QUEUED, 0, 0)
    (pool,) = await cluster.capacity()
    assert pool.gpus_in_use == 2
    node.bad_images.clear()
    assert (await seen_as(cluster, "a", JobState.SUCCEEDED)).starts == 1


async def test_a_job_that_waits_can_be_cancelled_unstarted(
    cluster: KubernetesCluster, node: FakeKubelet
) -> None:
    """It leaves the queue."""
    node.bad_images.add("wrong")
    await cluster.submit(JobOrder("a", ("true",), POOL, 2, image="wrong"))
    await seen_for(cluster, "a", "Err|BackOff")
    await cluster.cancel("a")
    job = await seen_as(cluster, "a", JobState.CANCELLED)
    assert (job.starts, job.reason) == (0, "cancelled: it was not started")


async def test_a_job_that_waits_is_suspended_and_resumed_as_never_started(
    cluster: KubernetesCluster, node: FakeKubelet
) -> None:
    """Its first start is no continuation."""
    node.bad_images.add("wrong")
    waiting = JobOrder("a", ("sh", "-c", "echo $GRIDTIDE_IS_CONTINUATION"), POOL, 2, image="wrong")
    await cluster.submit(waiting)
    await seen_for(cluster, "a", "Err|BackOff")
    await cluster.suspend("a")
    assert (await seen_as(cluster, "a", JobState.SUSPENDED)).starts == 0
    node.bad_images.clear()
    await cluster.resume(waiting)
    assert (await seen_as(cluster, "a", JobState.SUCCEEDED)).starts == 1
    assert [line async for line in cluster.logs("a")] == ["0"]


async def test_out_of_memory_is_told_from_a_crash(
    cluster: KubernetesCluster, node: FakeKubelet, place: Place
) -> None:
    """Both end with 137: one says why."""
    await cluster.submit(endless("a"))
    await cluster.submit(order("b", "kill -9 $$"))
    await seen_as(cluster, "a", JobState.RUNNING)
    node.run_out_of_memory(place.namespace, pod_of(place, "a"))
    job = await seen_as(cluster, "a", JobState.FAILED)
    assert (job.exit_code, job.reason) == (137, "OOMKilled, exit code 137")
    job = await seen_as(cluster, "b", JobState.FAILED)
    assert (job.exit_code, job.reason) == (137, "exit code 137")


async def test_a_job_the_kubelet_evicts_failed_with_its_reason(
    cluster: KubernetesCluster, node: FakeKubelet, place: Place
) -> None:
    """The exit code is not the job's own, and is not reported as if it were."""
    await cluster.submit(endless("a"))
    await seen_as(cluster, "a", JobState.RUNNING)
    node.evict(place.namespace, pod_of(place, "a"), "The node was low on resource: memory.")
    job = await seen_as(cluster, "a", JobState.FAILED)
    assert job.exit_code is None
    assert job.reason == "Evicted: The node was low on resource: memory."


async def test_a_job_that_is_drained_away_failed_as_disrupted(
    cluster: KubernetesCluster, place: Place
) -> None:
    """As ``kubectl drain`` and preemption do: the pod is told to go, and says for whom."""
    await cluster.submit(endless("a", 4))
    await seen_as(cluster, "a", JobState.RUNNING)
    name = pod_of(place, "a")
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    place.plane.ask("POST", f"{place.pods}/{name}/eviction", eviction)
    job = await seen_as(cluster, "a", JobState.FAILED)
    assert job.exit_code is None
    assert "disrupted: EvictionByEvictionAPI" in job.reason
    (pool,) = await cluster.capacity()
    assert pool.gpus_in_use == 0


async def test_a_lost_node_is_why_nothing_is_known(
    cluster: KubernetesCluster, node: FakeKubelet, place: Place, make_node: NodeMaker
) -> None:
    """The job may still run there, so it holds its GPUs; no others of the node are available."""
    make_node(0)  # were all nodes lost, the controllers would rather doubt themselves
    await cluster.submit(endless("a"))
    await seen_as(cluster, "a", JobState.RUNNING)
    node.lose()
    job = await seen_for(cluster, "a", "does not answer")
    assert (job.state, job.gpus, job.nodes) == (JobState.RUNNING, 1, (node.name,))
    (pool,) = await cluster.capacity()
    assert (pool.gpus_total, pool.gpus_available, pool.gpus_in_use) == (4, 1, 1)
    pod = f"{place.pods}/{pod_of(place, 'a')}"
    place.plane.until(
        lambda: "deletionTimestamp" in place.plane.ask("GET", pod)["metadata"],
        "the controllers have given the pod up",
    )
    node.return_()
    job = await seen_as(cluster, "a", JobState.FAILED)
    assert "DeletionByTaintManager" in job.reason


async def test_a_command_that_is_not_in_the_image_says_so(cluster: KubernetesCluster) -> None:
    """In the words of the runtime."""
    await cluster.submit(JobOrder("a", ("/no/such/program",), POOL, 1))
    job = await seen_as(cluster, "a", JobState.FAILED)
    assert job.reason.startswith("StartError: ")
    assert "/no/such/program" in job.reason


async def test_what_was_seen_of_pods_outlasts_them(
    cluster: KubernetesCluster, place: Place
) -> None:
    """Exit code and times stay when the pod is collected, for every client."""
    await cluster.submit(order("a", "exit 3"))
    job = await seen_as(cluster, "a", JobState.FAILED)
    notes = f"{place.jobs}/{place.plane.ask('GET', place.jobs)['items'][0]['metadata']['name']}"
    place.plane.until(
        lambda: '"exit_code": 3' in str(place.plane.ask("GET", notes)["metadata"]["annotations"]),
        "the exit code is noted on the Job",
    )
    place.plane.ask("DELETE", f"{place.pods}/{pod_of(place, 'a')}")
    other = kubernetes_cluster(place, {"for": place.namespace})
    assert await seen(other, "a") == job
    await other.close()


async def test_an_order_that_finds_no_node_is_queued_with_the_scheduler_s_words(
    cluster: KubernetesCluster, place: Place, node: FakeKubelet
) -> None:
    """A pool that grows takes orders for GPUs that are yet to come."""
    growing = KubernetesPool(
        POOL, node_selector={"for": place.namespace}, image="none", gpus=8, grows=True
    )
    larger = kubernetes_cluster(place, {}, pools=(growing,))
    await larger.submit(endless("a", 4))
    await larger.submit(endless("b", 4))
    job = await seen_for(larger, "b", "Unschedulable: .*Insufficient nvidia.com/gpu")
    assert (job.state, job.gpus) == (JobState.QUEUED, 0)
    (pool,) = await larger.capacity()
    assert (pool.gpus_total, pool.gpus_available, pool.gpus_in_use) == (8, 8, 8)
    await larger.suspend("b")
    assert (await seen_as(larger, "b", JobState.SUSPENDED)).starts == 0
    await end_everything(larger)
    await larger.close()
