"""GPUs of a Kubernetes cluster: on which nodes they are, and what others hold of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from connectors.clusters.kubernetes.cluster import (
    KubernetesCluster,
    KubernetesPool,
    Toleration,
)
from connectors.errors import GpusBusy
from connectors.types import JobState
from tests.contracts.orders import POOL, endless, order
from tests.contracts.waiting import seen, seen_as
from tests.fixtures.kubernetes import NodeMaker
from tests.peers.kubernetes import Place
from tests.peers.kubernetes_client import kubernetes_cluster

pytestmark = pytest.mark.peer


@pytest.fixture
async def cluster(place: Place) -> AsyncIterator[KubernetesCluster]:
    """A cluster of the nodes that the test makes."""
    cluster = kubernetes_cluster(place, {"for": place.namespace})
    yield cluster
    await cluster.close()


@pytest.fixture
def foreign_pod(place: Place) -> Callable[..., str]:
    """Run a pod of somebody else's in another namespace; returns its path."""

    def run(gpus: int, *command: str) -> str:
        container = {
            "name": "c",
            "image": "none",
            "command": list(command or ("sleep", "600")),
            "resources": {"limits": {"nvidia.com/gpu": str(gpus)}},
        }
        spec = {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": {"for": place.namespace},
            "containers": [container],
        }
        pods = "/api/v1/namespaces/default/pods"
        body = {"metadata": {"generateName": "foreign-"}, "spec": spec}
        pod = f"{pods}/{place.plane.ask('POST', pods, body)['metadata']['name']}"
        place.plane.until(
            lambda: place.plane.ask("GET", pod)["status"]["phase"] != "Pending",
            "the foreign pod runs",
        )
        return pod

    return run


async def test_gpus_that_others_hold_are_not_free(
    cluster: KubernetesCluster,
    place: Place,
    make_node: NodeMaker,
    foreign_pod: Callable[..., str],
) -> None:
    """Until they end, and also where they are of another namespace."""
    make_node(4)
    foreign = foreign_pod(3)
    (pool,) = await cluster.capacity()
    assert (pool.gpus_in_use, pool.gpus_of_others) == (3, 3)
    with pytest.raises(GpusBusy, match=r"b.*2.*only 1 are free"):
        await cluster.submit(endless("b", 2))
    await cluster.submit(endless("c", 1))
    (pool,) = await cluster.capacity()
    assert (pool.gpus_in_use, pool.gpus_of_others) == (4, 3)
    place.plane.ask("DELETE", foreign)
    await _until_free(cluster, 3)


async def test_what_others_ran_and_left_holds_nothing(
    cluster: KubernetesCluster, make_node: NodeMaker, foreign_pod: Callable[..., str]
) -> None:
    """A pod that has ended is still there, and needs no GPU."""
    make_node(2)
    foreign_pod(2, "true")
    await _until_free(cluster, 2)


async def test_without_the_right_to_see_others_their_gpus_count_as_free(
    place: Place, make_node: NodeMaker, foreign_pod: Callable[..., str]
) -> None:
    """A cluster that gives no such right queues what does not fit."""
    make_node(2)
    foreign_pod(2)
    alone = kubernetes_cluster(place, {"for": place.namespace}, counts_others=False)
    (pool,) = await alone.capacity()
    assert (pool.gpus_in_use, pool.gpus_of_others) == (0, 0)
    await alone.submit(endless("a", 2))
    assert (await seen(alone, "a")).state is JobState.QUEUED
    await alone.cancel("a")
    await alone.close()


async def test_idle_gpus_of_a_cordoned_node_are_not_available(
    cluster: KubernetesCluster, place: Place, make_node: NodeMaker
) -> None:
    """What runs there goes on, and its GPUs are counted until it ends."""
    node = make_node(4)
    await cluster.submit(endless("a", 1))
    await seen_as(cluster, "a", JobState.RUNNING)
    place.plane.ask("PATCH", f"/api/v1/nodes/{node.name}", {"spec": {"unschedulable": True}})
    await _until_free(cluster, 0)
    (pool,) = await cluster.capacity()
    assert (pool.gpus_total, pool.gpus_available, pool.gpus_in_use) == (4, 1, 1)
    with pytest.raises(GpusBusy):
        await cluster.submit(endless("b", 1))
    place.plane.ask("PATCH", f"/api/v1/nodes/{node.name}", {"spec": {"unschedulable": None}})
    await _until_free(cluster, 3)


async def test_a_tainted_node_is_for_pools_that_bear_it(
    cluster: KubernetesCluster, place: Place, make_node: NodeMaker
) -> None:
    """Its GPUs are there, and available to those only."""
    node = make_node(2)
    taint = {"key": "team", "value": "research", "effect": "NoSchedule"}
    place.plane.ask("PATCH", f"/api/v1/nodes/{node.name}", {"spec": {"taints": [taint]}})
    await _until_free(cluster, 0)
    bearing = KubernetesPool(
        POOL,
        node_selector={"for": place.namespace},
        image="none",
        tolerations=(Toleration("team", "research"),),
    )
    theirs = kubernetes_cluster(place, {}, pools=(bearing,))
    await theirs.submit(order("a", "exit 0", 2))
    await seen_as(theirs, "a", JobState.SUCCEEDED)
    await theirs.close()


async def test_free_gpus_on_several_nodes_are_not_one_place(
    cluster: KubernetesCluster, make_node: NodeMaker
) -> None:
    """A job that fits one node needs one that has its GPUs free."""
    make_node(2)
    make_node(2)
    await cluster.submit(endless("a", 1))
    await seen_as(cluster, "a", JobState.RUNNING)
    await cluster.submit(endless("b", 2))
    await seen_as(cluster, "b", JobState.RUNNING)
    with pytest.raises(GpusBusy, match="only 1 are free"):
        await cluster.submit(endless("c", 2))
    await cluster.cancel("b")
    await seen_as(cluster, "b", JobState.CANCELLED)
    await cluster.submit(endless("d", 1))
    await seen_as(cluster, "d", JobState.RUNNING)


async def test_a_job_larger_than_a_node_runs_in_equal_parts(
    cluster: KubernetesCluster, make_node: NodeMaker
) -> None:
    """Each part knows which one it is; the job holds the GPUs of all, and is on all nodes."""
    nodes = {make_node(2).name, make_node(2).name}
    script = 'echo "$JOB_COMPLETION_INDEX of $GRIDTIDE_NODES"; exec sleep 600'
    await cluster.submit(order("a", script, 4))
    job = await seen_as(cluster, "a", JobState.RUNNING)
    while set(job.nodes) != nodes or job.reason:
        job = await seen(cluster, "a")
    assert job.gpus == 4
    await cluster.suspend("a")
    await seen_as(cluster, "a", JobState.SUSPENDED)
    await cluster.resume(order("a", "exit $((3 * JOB_COMPLETION_INDEX))", 4))
    job = await seen_as(cluster, "a", JobState.FAILED)
    assert (job.exit_code, job.starts, job.nodes) == (3, 2, ())
    (pool,) = await cluster.capacity()
    assert pool.gpus_in_use == 0


async def _until_free(cluster: KubernetesCluster, gpus: int) -> None:
    for _ in range(1000):
        (pool,) = await cluster.capacity()
        if pool.gpus_available - pool.gpus_in_use == gpus:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never {gpus} free: {pool}")
