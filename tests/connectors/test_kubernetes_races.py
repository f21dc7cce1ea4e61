"""Orders that come late or twice, and commands that meet what happens by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from connectors.clusters.kubernetes.cluster import KubernetesCluster
from connectors.clusters.kubernetes.config import CheckpointVolume, KubernetesConfig, KubernetesPool
from connectors.clusters.kubernetes.gpus import Parts
from connectors.clusters.kubernetes.manifest import Run, make_job
from connectors.errors import GpusBusy, Rejected
from connectors.types import JobOrder, JobState
from tests.contracts.orders import POOL, endless, order
from tests.contracts.waiting import end_everything, seen, seen_as
from tests.peers.kubernetes import CLAIM, Place
from tests.peers.kubernetes_client import kubernetes_cluster

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("gpu_node")]

EVERYONE = {"for": "everyone"}


@pytest.fixture
async def cluster(place: Place) -> AsyncIterator[KubernetesCluster]:
    """A cluster of the node with four GPUs."""
    cluster = kubernetes_cluster(place, EVERYONE)
    yield cluster
    await end_everything(cluster)
    await cluster.close()


def arrives_late(place: Place, wanted: JobOrder, number: int, restarts: int = 0) -> None:
    """Create a run as a client does that then is heard of no more."""
    pool = KubernetesPool(POOL, node_selector=EVERYONE, image="none")
    config = KubernetesConfig((pool,), checkpoints=CheckpointVolume(claim=CLAIM))
    body = make_job(wanted, Run(number, restarts, Parts(1, wanted.gpus)), config)
    place.plane.ask("POST", place.jobs, body)


def pods(place: Place) -> list[Any]:
    """Return all pods of the namespace."""
    found: list[Any] = place.plane.ask("GET", place.pods)["items"]
    return found


async def has_paused(cluster: KubernetesCluster, key: str) -> None:
    """Have a job that ran and was paused."""
    await cluster.submit(endless(key))
    await seen_as(cluster, key, JobState.RUNNING)
    await cluster.suspend(key)
    await seen_as(cluster, key, JobState.SUSPENDED)


async def test_an_order_that_arrives_late_starts_nothing(
    cluster: KubernetesCluster, place: Place
) -> None:
    """It is no job yet, and holds nothing; the same order sent again then starts it, once."""
    arrives_late(place, order("a", "exit 0", 2), 1)
    assert await cluster.observe() == ()
    (pool,) = await cluster.capacity()
    assert pool.gpus_in_use == 0
    with pytest.raises(Rejected, match="job a: not known"):
        await cluster.cancel("a")
    assert pods(place) == []
    await cluster.submit(order("a", "exit 0", 2))
    assert (await seen_as(cluster, "a", JobState.SUCCEEDED)).starts == 1


async def test_a_late_order_gives_way_to_a_newer_one(
    cluster: KubernetesCluster, place: Place
) -> None:
    """What is released is what was asked for last."""
    arrives_late(place, order("a", "exit 3", 2), 1)
    await cluster.submit(order("a", "exit 0", 1))
    await seen_as(cluster, "a", JobState.SUCCEEDED)


async def test_a_resumption_that_arrives_after_the_end_starts_nothing(
    cluster: KubernetesCluster, place: Place
) -> None:
    """A cancelled job stays so, whoever comes with what he was told before."""
    await has_paused(cluster, "a")
    await cluster.cancel("a")
    arrives_late(place, endless("a"), 2, restarts=1)
    await cluster.resume(endless("a"))
    job = await seen(cluster, "a")
    assert (job.state, job.starts) == (JobState.CANCELLED, 1)
    assert pods(place) == []


async def test_a_cancellation_reaches_a_run_that_is_not_released(
    cluster: KubernetesCluster, place: Place
) -> None:
    """So that whoever created it cannot release it afterwards."""
    await has_paused(cluster, "a")
    arrives_late(place, endless("a"), 2, restarts=1)
    await cluster.cancel("a")
    told = {
        job["metadata"]["annotations"]["gridtide.dev/wanted"]
        for job in place.plane.ask("GET", place.jobs)["items"]
    }
    assert told == {"cancel"}
    assert (await seen_as(cluster, "a", JobState.CANCELLED)).starts == 1


async def test_two_clients_that_resume_start_one_run(
    cluster: KubernetesCluster, place: Place
) -> None:
    """And several that race with a cancellation leave nothing running."""
    other = kubernetes_cluster(place, EVERYONE)
    await cluster.submit(endless("a", 2))
    await seen_as(cluster, "a", JobState.RUNNING)
    await cluster.suspend("a")
    await seen_as(cluster, "a", JobState.SUSPENDED)
    await asyncio.gather(*(one.resume(endless("a", 2)) for one in (cluster, other) * 3))
    assert (await seen_as(cluster, "a", JobState.RUNNING)).starts == 2
    assert len(pods(place)) == 1
    await cluster.suspend("a")
    await seen_as(cluster, "a", JobState.SUSPENDED)
    await asyncio.gather(
        other.resume(endless("a", 2)), cluster.cancel("a"), other.resume(endless("a", 2))
    )
    await seen_as(other, "a", JobState.CANCELLED)
    await seen_as(cluster, "a", JobState.CANCELLED)
    await other.close()


async def test_what_ended_before_it_was_paused_has_ended(
    cluster: KubernetesCluster, place: Place
) -> None:
    """Also where the controllers had not noticed when we asked for the pause."""
    script = 'while [ ! -e "$GRIDTIDE_CHECKPOINT_DIR/go" ]; do sleep 0.02; done'
    await cluster.submit(order("a", script))
    await seen_as(cluster, "a", JobState.RUNNING)
    place.plane.kill("kube-controller-manager")
    try:
        folder = next((place.volumes / "claims" / place.namespace / CLAIM).iterdir())
        (folder / "go").touch()
        place.plane.until(
            lambda: pods(place)[0]["status"]["phase"] == "Succeeded", "the pod has ended"
        )
        await cluster.suspend("a")
    finally:  # without it nothing that another test begins would ever end
        place.plane.start("kube-controller-manager")
    assert (await seen_as(cluster, "a", JobState.SUCCEEDED)).exit_code == 0


async def test_readers_see_every_write_before_them(cluster: KubernetesCluster) -> None:
    """A cap is read back at once, however fast it changes."""
    await cluster.submit(endless("a"))
    for cap_w in range(100, 130):
        await cluster.set_power_cap("a", float(cap_w))
        assert (await seen(cluster, "a")).power_cap_w == cap_w


async def test_one_client_never_gives_a_gpu_twice(cluster: KubernetesCluster) -> None:
    """Of orders sent at once as many are taken as there are GPUs."""
    outcomes = await asyncio.gather(
        *(cluster.submit(endless(f"job-{n}")) for n in range(8)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if outcome is not JobState.QUEUED]
    assert len(refused) == 4
    assert all(isinstance(one, GpusBusy) for one in refused)
    assert len(await cluster.observe()) == 4


async def test_the_cap_reaches_the_pod_and_its_file(
    cluster: KubernetesCluster, place: Place
) -> None:
    """An agent on the node reads the annotation, the job its file."""
    script = (
        'while [ "$(cat $GRIDTIDE_POWER_CAP_FILE)" != 180.0 ]; do sleep 0.02; done; echo $$ "$HOME"'
    )
    await cluster.submit(order("a", script, power_cap_w=250.0))
    await seen_as(cluster, "a", JobState.RUNNING)
    await cluster.set_power_cap("a", 180.0)
    await seen_as(cluster, "a", JobState.SUCCEEDED)
    (pod,) = pods(place)
    assert pod["metadata"]["annotations"]["gridtide.dev/power-cap-w"] == "180.0"


async def test_dollars_of_a_command_are_the_shell_s(cluster: KubernetesCluster) -> None:
    """Kubernetes itself would replace ``$$`` and ``$(NAME)`` in them."""
    dollars = {"A": "$(B) $$", "B": "b"}
    await cluster.submit(order("a", 'echo "$A" "$(echo $B)"', environment=dollars))
    await seen_as(cluster, "a", JobState.SUCCEEDED)
    assert [line async for line in cluster.logs("a")] == ["$(B) $$ b"]


async def test_a_key_that_is_no_label_is_a_key_all_the_same(cluster: KubernetesCluster) -> None:
    """Keys may be long and of any letters; two that look alike are two."""
    keys = ["Ä/ß " + "x" * 200, "ä/ß " + "x" * 200, "a.b", "a-b"]
    for key in keys:
        await cluster.submit(order(key, 'echo "$GRIDTIDE_JOB_KEY"'))
        await seen_as(cluster, key, JobState.SUCCEEDED)
        assert [line async for line in cluster.logs(key)] == [key]
    assert {job.key for job in await cluster.observe()} == set(keys)


async def test_a_look_at_the_cluster_is_one_request(cluster: KubernetesCluster) -> None:
    """Who it is must be asked; jobs and GPUs are known from what it says by itself."""
    await cluster.submit(endless("a"))
    await seen_as(cluster, "a", JobState.RUNNING)
    await asyncio.sleep(0.5)  # until what was seen of its pod is noted
    before = cluster.requests
    for _ in range(10):
        await cluster.identity()
        await cluster.observe()
        await cluster.capacity()
        await cluster.power()
    assert cluster.requests - before == 10


async def test_commands_ask_few_times(cluster: KubernetesCluster) -> None:
    """So that a plan for many jobs is carried out in seconds."""
    await cluster.observe()
    asked = []
    for command in (
        lambda: cluster.submit(endless("a")),
        lambda: cluster.submit(endless("a")),
        lambda: cluster.set_power_cap("a", 200.0),
        lambda: cluster.suspend("a"),
        lambda: cluster.resume(endless("a")),
        lambda: cluster.cancel("a"),
    ):
        await asyncio.sleep(0.5)
        before = cluster.requests
        await command()
        asked.append(cluster.requests - before)
    # A controller may write to a Job between our reading and writing it: two more, then.
    assert all(n <= most + 2 for n, most in zip(asked, (2, 0, 2, 2, 5, 2), strict=True)), asked


async def test_a_job_that_somebody_else_suspends_is_paused(
    cluster: KubernetesCluster, place: Place
) -> None:
    """It goes on as any that was paused: with another run, as a continuation."""
    script = "echo $GRIDTIDE_IS_CONTINUATION; exec sleep 600"
    await cluster.submit(order("a", script))
    await seen_as(cluster, "a", JobState.RUNNING)
    (job,) = place.plane.ask("GET", place.jobs)["items"]
    path = f"{place.jobs}/{job['metadata']['name']}"
    place.plane.ask("PATCH", path, {"spec": {"suspend": True}})
    seen_so = await seen_as(cluster, "a", JobState.SUSPENDED)
    assert (seen_so.starts, seen_so.gpus) == (1, 0)
    await cluster.resume(order("a", script))
    assert (await seen_as(cluster, "a", JobState.RUNNING)).starts == 2
    assert [line async for line in cluster.logs("a")] == ["1"]


async def test_callers_on_several_loops_share_one_connection(cluster: KubernetesCluster) -> None:
    """A dispatcher has a loop of its own, and so has who answers a person."""
    await cluster.submit(order("a", "echo up"))
    await seen_as(cluster, "a", JobState.SUCCEEDED)
    before = cluster.requests

    async def look() -> tuple[list[str], int]:
        return [line async for line in cluster.logs("a")], len(await cluster.observe())

    assert await asyncio.to_thread(lambda: asyncio.run(look())) == (["up"], 1)
    assert cluster.requests - before <= 5
