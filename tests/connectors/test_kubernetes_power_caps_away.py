"""Power caps on a real Kubernetes where the agent, the kubelet or the API server is away."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.clusters import cap_command
from connectors.clusters.kubernetes.cluster import KubernetesCluster
from connectors.types import JobState
from tests.contracts.orders import endless
from tests.contracts.waiting import seen, seen_as, seen_capped, until
from tests.peers.kubernetes import ControlPlane, Place
from tests.peers.kubernetes_rights import grant_node_agent
from tests.peers.node_agent import AgentPlace
from tests.peers.nvidia_smi import FakeGpus
from tests.peers.pod_resources import PodResourcesSocket
from tests.peers.processes import wait_until

_SCRIPT_GIVES_UP_AFTER_S = 15.0  # with the driver

pytestmark = pytest.mark.peer


@pytest.fixture(autouse=True)
def whole(control_plane: ControlPlane) -> Iterator[None]:
    """Whatever a test kills runs again after it."""
    yield
    control_plane.start_missing()


async def test_an_agent_that_is_killed_leaves_nothing_wrong_behind(
    capped_cluster: KubernetesCluster,
    capped_gpus: FakeGpus,
    agent_place: AgentPlace,
    tmp_path: Path,
) -> None:
    """Caps hold meanwhile; what changed and what ended is put right when it is back."""
    log = tmp_path / "agent.log"
    with agent_place.program(log) as process:
        for key, gpus in (("stays", 1), ("changes", 1), ("ends", 2)):
            await capped_cluster.submit(endless(key, gpus, power_cap_w=250.0))
            await seen_capped(capped_cluster, key, 250.0)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert capped_gpus.limits() == [250.0] * 4
    await capped_cluster.set_power_cap("changes", 180.0)
    await capped_cluster.cancel("ends")
    await seen_as(capped_cluster, "ends", JobState.CANCELLED)
    job = await seen_capped(capped_cluster, "changes", 250.0, "still at 250 W, to be 180 W")
    assert len(agent_place.records) == 3
    with agent_place.program(log) as process:
        await until(lambda: capped_gpus.limits() == [250.0, 180.0, 700.0, 700.0], "all is right")
        job = await seen_capped(capped_cluster, "changes", 180.0)
        assert job.power_cap_problem == ""
        await until(lambda: len(agent_place.records) == 2, "what has ended is forgotten")
        process.terminate()
        assert process.wait(30) == 0
    assert capped_gpus.limits() == [250.0, 180.0, 700.0, 700.0]
    assert "told to end; caps stay as they are" in log.read_text()


async def test_gpus_that_have_passed_on_meanwhile_keep_the_cap_of_the_next(
    capped_cluster: KubernetesCluster, capped_gpus: FakeGpus, agent_place: AgentPlace
) -> None:
    """What an agent finds of the pod before does not undo it."""
    await capped_cluster.submit(endless("a", 4, power_cap_w=250.0))
    async with agent_place.running():
        await seen_capped(capped_cluster, "a", 250.0)
    await capped_cluster.cancel("a")
    await seen_as(capped_cluster, "a", JobState.CANCELLED)
    await capped_cluster.submit(endless("b", 2, power_cap_w=180.0))
    await seen_as(capped_cluster, "b", JobState.RUNNING)
    async with agent_place.running():
        await seen_capped(capped_cluster, "b", 180.0)
        assert capped_gpus.limits() == [180.0, 180.0, 700.0, 700.0]
        await until(lambda: len(agent_place.records) == 1, "the one before is forgotten")
        assert capped_gpus.limits() == [180.0, 180.0, 700.0, 700.0]


async def test_gpus_whose_driver_is_away_are_given_back_later(
    capped_cluster: KubernetesCluster, capped_gpus: FakeGpus, agent_place: AgentPlace
) -> None:
    """They are not forgotten before."""
    await capped_cluster.submit(endless("a", 1, power_cap_w=250.0))
    async with agent_place.running():
        await seen_capped(capped_cluster, "a", 250.0)
        capped_gpus.refuse("permission")
        await capped_cluster.cancel("a")
        await seen_as(capped_cluster, "a", JobState.CANCELLED)
        tries = len(capped_gpus.calls())
        await until(lambda: len(capped_gpus.calls()) > tries + 3, "it has tried")
        assert (capped_gpus.limit(0), len(agent_place.records)) == (250.0, 1)
        capped_gpus.refuse("")
        await until(lambda: agent_place.records == [], "it could")
        assert capped_gpus.limit(0) == 700.0


async def test_a_driver_that_hangs_holds_up_no_other_pod(
    capped_cluster: KubernetesCluster, capped_gpus: FakeGpus, agent_place: AgentPlace
) -> None:
    """Nor for ever the pod of its GPU, which is told what is wrong."""
    capped_gpus.refuse("hang", [0])
    async with agent_place.running():
        for key in ("hangs", "a"):
            await capped_cluster.submit(endless(key, 1, power_cap_w=250.0))
            await seen_as(capped_cluster, key, JobState.RUNNING)
        async with asyncio.timeout(_SCRIPT_GIVES_UP_AFTER_S / 2):
            await seen_capped(capped_cluster, "a", 250.0)
            await capped_cluster.set_power_cap("a", 180.0)
            await seen_capped(capped_cluster, "a", 180.0)
        await capped_cluster.set_power_cap("hangs", 180.0)
        await seen_capped(capped_cluster, "hangs", 700.0, "was set, 700.00 W is read back")
        capped_gpus.refuse("", [0])
        job = await seen_capped(capped_cluster, "hangs", 180.0)
        assert job.power_cap_problem == ""
    assert capped_gpus.limits() == [180.0, 180.0, 700.0, 700.0]


async def test_a_cap_that_is_being_set_as_its_pod_ends_does_not_outlast_it(
    capped_cluster: KubernetesCluster, capped_gpus: FakeGpus, agent_place: AgentPlace
) -> None:
    """The default comes after it."""
    capped_gpus.refuse("slow")
    async with replace(agent_place, check_every_s=600.0).running():
        await capped_cluster.submit(endless("a", 1, power_cap_w=250.0))
        await until(lambda: any("-pl 250" in call for call in capped_gpus.calls()), "it is begun")
        await capped_cluster.cancel("a")
        await until(lambda: agent_place.records == [], "it is over")
        assert any("-pl 700" in call for call in capped_gpus.calls())
        assert capped_gpus.limit(0) == 700.0


async def test_a_driver_that_answers_too_late_leaves_no_cap_behind(
    capped_cluster: KubernetesCluster,
    capped_gpus: FakeGpus,
    agent_place: AgentPlace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pod is kept in mind until what was begun for it is over."""
    monkeypatch.setattr(cap_command, "_ANSWER_S", 1.0)
    capped_gpus.refuse("slow")
    async with agent_place.running():
        await capped_cluster.submit(endless("a", 1, power_cap_w=250.0))
        await seen_capped(capped_cluster, "a", None, "no answer within 1 s")
        await capped_cluster.cancel("a")
        await until(lambda: agent_place.records == [], "it is over")
        assert any("-pl 700" in call for call in capped_gpus.calls())
        assert capped_gpus.limit(0) == 700.0


async def test_a_cap_that_is_changed_while_it_is_being_set_is_set_after_it(
    capped_cluster: KubernetesCluster, capped_gpus: FakeGpus, agent_place: AgentPlace
) -> None:
    """At once, and not when it is looked at again."""
    capped_gpus.refuse("slow")
    async with replace(agent_place, check_every_s=600.0).running():
        await capped_cluster.submit(endless("a", 1, power_cap_w=250.0))
        await until(lambda: any("-pl 250" in call for call in capped_gpus.calls()), "it is begun")
        await capped_cluster.set_power_cap("a", 180.0)
        await seen_capped(capped_cluster, "a", 180.0)
        assert capped_gpus.limit(0) == 180.0


async def test_a_default_that_is_being_set_as_the_next_pod_begins_does_not_undo_its_cap(
    capped_cluster: KubernetesCluster, capped_gpus: FakeGpus, agent_place: AgentPlace
) -> None:
    """Its cap comes after it."""
    async with replace(agent_place, check_every_s=600.0).running():
        await capped_cluster.submit(endless("a", 4, power_cap_w=250.0))
        await seen_capped(capped_cluster, "a", 250.0)
        capped_gpus.refuse("slow")
        await capped_cluster.cancel("a")
        await until(lambda: "-pl 700" in " ".join(capped_gpus.calls()), "it is begun")
        await asyncio.sleep(0.5)  # by then the driver is slow with all of them
        capped_gpus.refuse("")
        await capped_cluster.submit(endless("b", 4, power_cap_w=180.0))
        await seen_capped(capped_cluster, "b", 180.0)
        await asyncio.sleep(5)
        assert capped_gpus.limits() == [180.0] * 4


async def test_gpus_that_others_have_by_then_are_not_given_back(
    capped_cluster: KubernetesCluster, capped_gpus: FakeGpus, agent_place: AgentPlace
) -> None:
    """What could not be done in time must not be done to the next."""
    await capped_cluster.submit(endless("a", 2, power_cap_w=250.0))
    async with agent_place.running():
        await seen_capped(capped_cluster, "a", 250.0)
        capped_gpus.refuse("permission")
        await capped_cluster.cancel("a")
        await seen_as(capped_cluster, "a", JobState.CANCELLED)
        (of_a,) = agent_place.records
        await capped_cluster.submit(endless("b", 4, power_cap_w=180.0))
        await seen_capped(capped_cluster, "b", 700.0, "Insufficient Permissions")
        await until(lambda: of_a not in agent_place.records, "it has passed on")
        tries = len(capped_gpus.calls())
        capped_gpus.refuse("")
        await seen_capped(capped_cluster, "b", 180.0)
        assert not [call for call in capped_gpus.calls()[tries:] if "-pl 700" in call]


async def test_a_kubelet_that_does_not_say_is_told_and_asked_again(
    capped_cluster: KubernetesCluster,
    capped_gpus: FakeGpus,
    agent_place: AgentPlace,
    kubelet_socket: PodResourcesSocket,
) -> None:
    """What was known before holds; what was not is set once it answers."""
    async with replace(agent_place, check_every_s=600.0).running():
        await capped_cluster.submit(endless("known", 1, power_cap_w=250.0))
        await seen_capped(capped_cluster, "known", 250.0)
        kubelet_socket.stop()
        await capped_cluster.submit(endless("a", 1, power_cap_w=250.0))
        job = await seen_capped(
            capped_cluster, "a", None, "which GPUs it has is not known: kubelet"
        )
        assert str(kubelet_socket.path) in job.power_cap_problem
        await capped_cluster.set_power_cap("known", 180.0)
        await seen_capped(capped_cluster, "known", 180.0)
        kubelet_socket.start()
        job = await seen_capped(capped_cluster, "a", 250.0)
        assert job.power_cap_problem == ""
    assert capped_gpus.limits() == [180.0, 250.0, 700.0, 700.0]


async def test_a_pod_that_the_kubelet_does_not_name_is_told(
    capped_cluster: KubernetesCluster, agent_place: AgentPlace, kubelet_socket: PodResourcesSocket
) -> None:
    """While it runs, and asked for until it is named."""
    async with agent_place.running():
        await capped_cluster.submit(endless("a", 1, power_cap_w=250.0))
        await seen_capped(capped_cluster, "a", 250.0)
    for record in agent_place.records:
        record.unlink()
    before = kubelet_socket.shown
    kubelet_socket.show([])
    async with replace(agent_place, check_every_s=600.0).running():
        await seen_capped(capped_cluster, "a", None, "the kubelet names no GPU of it")
        kubelet_socket.show(before)
        job = await seen_capped(capped_cluster, "a", 250.0)
        assert job.power_cap_problem == ""


async def test_while_the_api_server_is_away_caps_hold_and_nothing_is_given_back(
    capped_cluster: KubernetesCluster, capped_gpus: FakeGpus, agent_place: AgentPlace, place: Place
) -> None:
    """Not by an agent that is started meanwhile either: it cannot know which pods are over."""
    await capped_cluster.submit(endless("a", 1, power_cap_w=250.0))
    async with agent_place.running():
        await seen_capped(capped_cluster, "a", 250.0)
        place.plane.kill("kube-apiserver")
        capped_gpus.set_limit(0, 500.0)
        await until(lambda: capped_gpus.limit(0) == 250.0, "what somebody else set is set back")
    async with agent_place.running():
        await asyncio.sleep(3 * agent_place.check_every_s)
        assert (capped_gpus.limit(0), len(agent_place.records)) == (250.0, 1)
        place.plane.start("kube-apiserver")
        place.plane.wait_until_ready()
        await seen_as(capped_cluster, "a", JobState.RUNNING)
        await capped_cluster.set_power_cap("a", 180.0)
        await seen_capped(capped_cluster, "a", 180.0)
        await capped_cluster.cancel("a")
        await until(lambda: capped_gpus.limit(0) == 700.0, "it is over")


async def test_a_token_that_is_over_is_read_again(
    capped_cluster: KubernetesCluster, capped_gpus: FakeGpus, agent_place: AgentPlace, place: Place
) -> None:
    """Tokens of accounts are replaced every hour, in the file that they are read from."""
    good = agent_place.kubeconfig.read_text()
    place.plane.kubeconfig(agent_place.kubeconfig, "over", place.namespace)
    await capped_cluster.submit(endless("a", 1, power_cap_w=250.0))
    async with replace(agent_place, check_every_s=600.0).running():
        await seen_as(capped_cluster, "a", JobState.RUNNING)
        assert (await seen(capped_cluster, "a")).power_cap_in_force_w is None
        agent_place.kubeconfig.write_text(good)
        await seen_capped(capped_cluster, "a", 250.0)
    assert capped_gpus.limit(0) == 250.0


async def test_what_cannot_be_told_yet_is_told_later(
    capped_cluster: KubernetesCluster,
    capped_gpus: FakeGpus,
    agent_place: AgentPlace,
    place: Place,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A right that is missing keeps no cap from being set."""
    role = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{place.namespace}/roles"
    place.plane.ask(
        "PATCH",
        f"{role}/gridtide-node-agent",
        {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}]},
    )
    async with replace(agent_place, check_every_s=600.0).running():
        await capped_cluster.submit(endless("a", 1, power_cap_w=250.0))
        await until(lambda: "in force cannot be told: " in caplog.text, "it cannot be told")
        assert capped_gpus.limit(0) == 250.0
        assert (await seen(capped_cluster, "a")).power_cap_in_force_w is None
        await asyncio.sleep(6)  # it was tried again
        assert caplog.text.count("in force cannot be told: ") == 1
        place.plane.ask("DELETE", f"{role}/gridtide-node-agent")
        grant_node_agent(place.plane, place.namespace, agent_place.node)
        await seen_capped(capped_cluster, "a", 250.0)


def test_two_agents_do_not_share_a_node(agent_place: AgentPlace, tmp_path: Path) -> None:
    """The second waits for the first to go, and then has its place."""
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    begins = f"looks after node {agent_place.node}"
    with agent_place.program(first) as one:
        wait_until(lambda: begins in first.read_text(), "the first is there")
        with agent_place.program(second) as other:
            with pytest.raises(subprocess.TimeoutExpired):
                other.wait(3)
            assert begins not in second.read_text()
            one.terminate()
            assert one.wait(30) == 0
            wait_until(lambda: begins in second.read_text(), "the second has its place")


def test_a_kubeconfig_that_is_not_there_is_refused(agent_place: AgentPlace, tmp_path: Path) -> None:
    """With its name, and the code of wrong usage."""
    lost = replace(agent_place, kubeconfig=tmp_path / "lost")
    log = tmp_path / "agent.log"
    with lost.program(log) as process:
        assert process.wait(30) == 2
    assert "gridtide-node-agent: kubeconfig" in log.read_text()
    assert "lost" in log.read_text()
