"""Power caps on a real Kubernetes: an agent on the node sets them, and says what is in force."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connectors.clusters.kubernetes.cluster import KubernetesCluster
from connectors.clusters.kubernetes.names import CAPPED, POWER_CAP
from connectors.types import JobState
from tests.contracts.orders import endless, order
from tests.contracts.waiting import seen, seen_as, seen_capped, until
from tests.fixtures.kubernetes import NodeMaker
from tests.peers.kubelet import FakeKubelet
from tests.peers.kubernetes import Place
from tests.peers.kubernetes_client import pod_of
from tests.peers.node_agent import AgentPlace
from tests.peers.nvidia_smi import FakeGpus, uuid_of

pytestmark = pytest.mark.peer


def notes_of(place: Place, key: str) -> dict[str, Any]:
    """Return the metadata of the one pod of a job."""
    meta: dict[str, Any] = place.plane.ask("GET", f"{place.pods}/{pod_of(place, key)}")["metadata"]
    return meta


@pytest.mark.usefixtures("node_agent")
async def test_a_cap_is_in_force_while_its_pod_runs(
    capped_cluster: KubernetesCluster, capped_gpus: FakeGpus, agent_place: AgentPlace
) -> None:
    """On the GPUs that the kubelet gave it, through every change, and given back after it."""
    await capped_cluster.submit(endless("other"))
    await seen_as(capped_cluster, "other", JobState.RUNNING)
    await capped_cluster.submit(endless("a", 2, power_cap_w=250.0))
    assert (await seen_capped(capped_cluster, "a", 250.0)).power_cap_problem == ""
    assert capped_gpus.limits() == [700.0, 250.0, 250.0, 700.0]
    assert (await seen_capped(capped_cluster, "other", 700.0)).power_cap_w is None
    await capped_cluster.set_power_cap("a", 180.5)
    assert (await seen_capped(capped_cluster, "a", 180.5)).power_cap_problem == ""
    assert capped_gpus.limits() == [700.0, 180.5, 180.5, 700.0]
    await capped_cluster.set_power_cap("a", None)
    await seen_capped(capped_cluster, "a", 700.0)
    await capped_cluster.set_power_cap("a", 180.0)
    await seen_capped(capped_cluster, "a", 180.0)
    await capped_cluster.cancel("a")
    job = await seen_as(capped_cluster, "a", JobState.CANCELLED)
    assert (job.power_cap_in_force_w, job.power_cap_problem) == (None, "")
    await until(lambda: capped_gpus.limits() == [700.0] * 4, "its GPUs have their default again")
    await until(lambda: len(agent_place.records) == 1, "nothing is kept of it")


@pytest.mark.usefixtures("node_agent")
async def test_a_job_that_pauses_or_ends_by_itself_gives_its_gpus_back(
    capped_cluster: KubernetesCluster, capped_gpus: FakeGpus
) -> None:
    """And has its cap again when it goes on."""
    await capped_cluster.submit(endless("a", 1, power_cap_w=250.0))
    await seen_capped(capped_cluster, "a", 250.0)
    await capped_cluster.suspend("a")
    assert (await seen_as(capped_cluster, "a", JobState.SUSPENDED)).power_cap_in_force_w is None
    await until(lambda: capped_gpus.limit(0) == 700.0, "a pause gives its GPU back")
    await capped_cluster.resume(order("a", "sleep 3", power_cap_w=180.0))
    await seen_capped(capped_cluster, "a", 180.0)
    await seen_as(capped_cluster, "a", JobState.SUCCEEDED)
    await until(lambda: capped_gpus.limit(0) == 700.0, "so does the end")


@pytest.mark.usefixtures("node_agent")
async def test_a_refusal_is_seen_where_the_job_is(
    capped_cluster: KubernetesCluster, capped_gpus: FakeGpus, capped_node: FakeKubelet
) -> None:
    """In the words of the node, with what is in force instead; the job runs."""
    await capped_cluster.submit(endless("a", 1, power_cap_w=50.0))
    job = await seen_capped(capped_cluster, "a", 700.0)
    assert (job.state, job.power_cap_w) == (JobState.RUNNING, 50.0)
    refused = f"GPU {uuid_of(0)}: cap = 50 W, must be within [100.00, 700.00] W"
    assert job.power_cap_problem == f"{capped_node.name}: {refused}"
    capped_gpus.set_default(0, 600.0)
    capped_gpus.set_limit(0, 600.0)
    await capped_cluster.set_power_cap("a", 650.0)
    await seen_capped(capped_cluster, "a", 600.0, "must be at most its default limit, 600.00 W")
    capped_gpus.refuse("permission")
    await capped_cluster.set_power_cap("a", 250.0)
    job = await seen_capped(capped_cluster, "a", 600.0, "Insufficient Permissions")
    assert "600.00 W is read back" in job.power_cap_problem


@pytest.mark.usefixtures("node_agent")
async def test_what_is_read_back_counts_and_is_looked_at_again(
    capped_cluster: KubernetesCluster, capped_gpus: FakeGpus, place: Place
) -> None:
    """What somebody else sets is set back; what does not hold is told, once."""
    await capped_cluster.submit(endless("a", 1, power_cap_w=250.0))
    await seen_capped(capped_cluster, "a", 250.0)
    capped_gpus.set_limit(0, 500.0)
    await until(lambda: capped_gpus.limit(0) == 250.0, "it is set back")
    capped_gpus.refuse("support")
    capped_gpus.set_limit(0, 500.0)
    await seen_capped(capped_cluster, "a", 500.0, "cap = 250 W was set, 500.00 W is read back")
    capped_gpus.refuse("")
    await seen_capped(capped_cluster, "a", 250.0)
    version, looks = notes_of(place, "a")["resourceVersion"], len(capped_gpus.calls())
    await until(lambda: len(capped_gpus.calls()) > looks + 2, "it is looked at")
    assert notes_of(place, "a")["resourceVersion"] == version


@pytest.mark.usefixtures("node_agent")
async def test_a_job_without_a_cap_has_the_default(
    capped_cluster: KubernetesCluster, capped_gpus: FakeGpus
) -> None:
    """Whatever was left on the GPU."""
    capped_gpus.set_limit(0, 300.0)
    await capped_cluster.submit(endless("a"))
    assert (await seen_capped(capped_cluster, "a", 700.0)).power_cap_problem == ""
    assert capped_gpus.limit(0) == 700.0


@pytest.mark.usefixtures("node_agent")
@pytest.mark.parametrize(
    ("device", "words"),
    [
        (f"{uuid_of(0)}::3", f"GPU {uuid_of(0)} is shared by pods"),
        ("MIG-8a1f2b9e-0000-4000-8000-00000000000a", "is an instance of a GPU (MIG)"),
        ("nvidia0", "device 'nvidia0': must be named by the UUID of a GPU"),
    ],
)
async def test_no_cap_is_set_on_a_part_of_a_gpu(
    capped_cluster: KubernetesCluster,
    capped_gpus: FakeGpus,
    capped_node: FakeKubelet,
    device: str,
    words: str,
) -> None:
    """It would be the cap of others too; the job says why, and one that asks for none nothing."""
    capped_node.device_of = lambda _index: device
    await capped_cluster.submit(endless("without"))
    await capped_cluster.submit(endless("a", 1, power_cap_w=250.0))
    job = await seen_capped(capped_cluster, "a", None, words)
    assert job.power_cap_problem.startswith(f"{capped_node.name}: ")
    without = await seen(capped_cluster, "without")
    assert (without.power_cap_in_force_w, without.power_cap_problem) == (None, "")
    await capped_cluster.set_power_cap("a", None)
    async with asyncio.timeout(30):
        while (await seen(capped_cluster, "a")).power_cap_problem:
            await asyncio.sleep(0.05)
    assert capped_gpus.calls() == []


@pytest.mark.usefixtures("node_agent")
async def test_an_annotation_that_is_no_cap_reaches_no_gpu(
    capped_cluster: KubernetesCluster, capped_gpus: FakeGpus, place: Place
) -> None:
    """Its pod says so, until the connector has put the right one back."""
    await capped_cluster.submit(endless("a", 1, power_cap_w=250.0))
    await seen_capped(capped_cluster, "a", 250.0)
    await capped_cluster.close()  # which would put it right
    path = f"{place.pods}/{pod_of(place, 'a')}"
    place.plane.ask("PATCH", path, {"metadata": {"annotations": {POWER_CAP: "-pl 900"}}})
    await until(
        lambda: "cap = '-pl 900'" in notes_of(place, "a")["annotations"][CAPPED], "it is told"
    )
    assert capped_gpus.limit(0) == 250.0
    await seen_capped(capped_cluster, "a", 250.0)


@pytest.mark.usefixtures("node_agent")
async def test_what_holds_for_a_job_holds_on_all_of_its_nodes(
    capped_cluster: KubernetesCluster,
    capped_gpus: FakeGpus,
    make_node: NodeMaker,
    capped_node: FakeKubelet,
) -> None:
    """A node without an agent does not say, so nobody knows what is in force."""
    other = make_node(4)
    await capped_cluster.submit(endless("a", 8, power_cap_w=250.0))
    silent = f"{other.name}: it does not say what is in force"
    await seen_capped(capped_cluster, "a", None, silent)
    await until(lambda: capped_gpus.limits() == [250.0] * 4, "those of the other are capped")
    assert (await seen(capped_cluster, "a")).power_cap_problem == silent
