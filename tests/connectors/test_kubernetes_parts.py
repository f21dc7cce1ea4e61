"""What the connector for Kubernetes works out by itself; no server is needed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from connectors.clusters.kubernetes import keeping, names
from connectors.clusters.kubernetes.api import Api, Conflict, Expired, NotFound, refusal
from connectors.clusters.kubernetes.config import (
    CheckpointVolume,
    KubernetesConfig,
    KubernetesPool,
)
from connectors.clusters.kubernetes.gpus import Parts, PoolGpus, cut, refuse_busy
from connectors.clusters.kubernetes.manifest import Run, environment, make_job, verbatim
from connectors.clusters.kubernetes.orders import as_text, from_text
from connectors.clusters.kubernetes.own_loop import OwnLoop
from connectors.clusters.kubernetes.quantities import whole
from connectors.clusters.kubernetes.session import Session
from connectors.clusters.kubernetes.views import RunView, Seen, run_view
from connectors.clusters.kubernetes.watching import Watched
from connectors.errors import ContractBroken, GpusBusy, Rejected, Unavailable
from connectors.types import JobOrder
from tests.peers.containers import expand

POOL = KubernetesPool("pool", image="none")
CONFIG = KubernetesConfig((POOL,))
ORDER = JobOrder("key", ("run", "$(A)", "$$"), "pool", 2, environment={"A": "1"})
ONE = Run(1, 0, Parts(1, 2))


def job_of(order: JobOrder, run: Run = ONE, **status: Any) -> dict[str, Any]:
    """Return a Job as the server would show it."""
    job = make_job(order, run, CONFIG)
    made = {"uid": f"uid-{run.number}", "resourceVersion": "7", "namespace": "n"}
    job["metadata"] |= made | {"creationTimestamp": "2026-06-07T12:00:00Z"}
    return job | {"status": status}


@pytest.mark.parametrize("key", ["a", "A" * 63, "A" * 64, "Ä", "-", "", "sha-1", "a/b", "x" * 500])
def test_names_fit_and_say_whose_they_are(key: str) -> None:
    """A Job's name, with the index of a part, is a host name; a label is a label."""
    name = names.job_name(key, 12345)
    assert len(f"{name}-99") <= 63
    assert name == name.lower()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(names.key_label(key)) <= 63


def test_keys_that_look_alike_have_names_of_their_own() -> None:
    """Whatever is lost in the readable part is in the digest."""
    keys = ["a.b", "a-b", "A-B", "a b", "x" * 80, "x" * 81]
    assert len({names.job_name(key, 1) for key in keys}) == len(keys)
    assert len({names.key_label(key) for key in [*keys, "sha-" + "0" * 40]}) == len(keys) + 1


def test_an_order_is_read_back_as_it_was_written() -> None:
    """Every field, and not what somebody else wrote."""
    assert from_text(as_text(ORDER), "Job n/x") == ORDER
    for text in ("", "{}", "[]", '{"command": 1}'):
        with pytest.raises(ContractBroken, match="Job n/x"):
            from_text(text, "Job n/x")


@pytest.mark.parametrize("text", ["$$", "$(A)", "a$b", "$$(A)", "$", "$$$(A) $A"])
def test_nothing_in_a_command_is_replaced(text: str) -> None:
    """As the kubelet reads it, what was meant comes out."""
    assert expand(verbatim(text), {"A": "wrong"}) == text


def test_what_the_cluster_sets_wins() -> None:
    """Over the order; GPUs are not even named, for the node sets them."""
    asked = {"CUDA_VISIBLE_DEVICES": "9", "GRIDTIDE_RESTARTS": "9", "GRIDTIDE_POWER_CAP_W": "9"}
    found = environment(replace(ORDER, environment=asked), Run(3, 2, Parts(1, 2)), CONFIG)
    assert "CUDA_VISIBLE_DEVICES" not in found
    assert "GRIDTIDE_POWER_CAP_W" not in found
    assert (found["GRIDTIDE_RESTARTS"], found["GRIDTIDE_IS_CONTINUATION"]) == ("2", "1")


def test_parts_of_a_job_know_where_the_first_is() -> None:
    """By a name that lasts, where there is a service for it."""
    config = replace(CONFIG, headless_service="parts")
    job = make_job(ORDER, Run(2, 1, Parts(2, 4)), config)
    pod = job["spec"]["template"]["spec"]
    found = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    assert found["GRIDTIDE_MAIN_HOST"] == f"{job['metadata']['name']}-0.parts"
    assert pod["subdomain"] == "parts"


def test_data_needs_a_volume_that_pods_share() -> None:
    """A folder of its own in it, the same for all orders of that data."""
    bring, use = replace(ORDER, key="bring", data="input"), replace(ORDER, data="input")
    with pytest.raises(Rejected, match=r"data = 'input'.*checkpoint_claim"):
        make_job(use, ONE, replace(CONFIG, checkpoints=None))
    shared = replace(CONFIG, checkpoints=CheckpointVolume(claim="claim"))
    jobs = [make_job(order, ONE, shared) for order in (bring, use, ORDER)]
    mounted = [
        {one["mountPath"]: one.get("subPath") for one in container["volumeMounts"]}
        for job in jobs
        for container in job["spec"]["template"]["spec"]["containers"]
    ]
    assert mounted[0]["/gridtide/data"] == mounted[1]["/gridtide/data"]
    assert mounted[0]["/gridtide/data"] not in mounted[1]["/gridtide/checkpoint"]
    assert "/gridtide/data" not in mounted[2]


def test_an_order_without_an_image_is_refused() -> None:
    """Unless its pool has one."""
    config = KubernetesConfig((KubernetesPool("pool"),))
    with pytest.raises(Rejected, match="image is not given"):
        make_job(ORDER, ONE, config)
    job = make_job(replace(ORDER, image="mine"), ONE, config)
    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == "mine"


@pytest.mark.parametrize(("grace_s", "seconds"), [(0.0, 1), (0.1, 1), (30.0, 30), (30.5, 31)])
def test_the_grace_is_whole_seconds_and_never_none(grace_s: float, seconds: int) -> None:
    """A grace of 0 would have the pod forgotten before its process has ended."""
    job = make_job(replace(ORDER, checkpoint_grace_s=grace_s), ONE, CONFIG)
    assert job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == seconds


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (CheckpointVolume, "exactly one"),
        (lambda: CheckpointVolume(claim="a", host_path="/b"), "exactly one"),
        (lambda: KubernetesConfig((POOL, POOL)), "'pool'.*twice"),
        (lambda: KubernetesConfig((POOL,), call_timeout_s=0), "call_timeout_s = 0"),
        (lambda: KubernetesPool("p", gpus=-1), "gpus = -1"),
        (lambda: KubernetesPool("p", grows=True), "gpus must be given"),
        (lambda: KubernetesPool("p", gpus_per_node=0), "gpus_per_node = 0"),
        (lambda: KubernetesPool("p", idle_kw_per_gpu=0.9), "idle_kw_per_gpu = 0.9"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(
    wrong: Callable[[], object], named: str
) -> None:
    """With the name and the value."""
    with pytest.raises(ValueError, match=named):
        wrong()


def pool_of(
    *free: int, total: int, per_node: int = 4, held: int = 0, unbound: Any = ()
) -> PoolGpus:
    """Return a pool with so many free GPUs on each node."""
    return PoolGpus(POOL, total, per_node, total, 0, free, held, unbound, 0)


@pytest.mark.parametrize(
    ("gpus", "per_node", "parts"),
    [
        (0, 8, (1, 0)),
        (8, 8, (1, 8)),
        (12, 8, (2, 6)),
        (16, 8, (2, 8)),
        (9, 8, (3, 3)),
        (5, 2, (5, 1)),
    ],
)
def test_a_large_order_is_cut_into_few_equal_parts(
    gpus: int, per_node: int, parts: tuple[int, int]
) -> None:
    """Each of which fits a node."""
    assert cut(replace(ORDER, gpus=gpus), pool_of(total=32, per_node=per_node)) == Parts(*parts)


def test_what_waits_for_a_node_is_counted_before_it_has_one() -> None:
    """On the node where the scheduler would put it, or on none where it has no place."""
    refuse_busy(ORDER, pool_of(2, 2, total=8, held=2, unbound=(2,)))
    with pytest.raises(GpusBusy, match="not 2 each"):
        refuse_busy(ORDER, pool_of(1, 3, total=8, held=2, unbound=(2,)))
    with pytest.raises(GpusBusy, match="only 1 are free"):
        refuse_busy(ORDER, pool_of(4, total=5, held=4))


@pytest.mark.parametrize(("amount", "n"), [(8, 8), ("8", 8), ("1k", 1000), ("2000m", 2), ("0", 0)])
def test_amounts_are_read_as_kubernetes_writes_them(amount: object, n: int) -> None:
    """Whole things."""
    assert whole(amount) == n


@pytest.mark.parametrize("amount", ["", "x", "1Q", None])
def test_an_amount_that_is_none_is_not_guessed(amount: object) -> None:
    """It breaks the contract."""
    with pytest.raises(ContractBroken):
        whole(amount)


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (400, "bad", Rejected),
        (401, "", Unavailable),
        (403, '{"message": "who"}', Rejected),
        (404, "", NotFound),
        (409, "", Conflict),
        (410, "", Expired),
        (422, '{"message": "spec.x: Invalid"}', Rejected),
        (429, "", Unavailable),
        (500, "null", Unavailable),
        (504, '{"message": "Too large resource version: 9"}', Expired),
        (504, "", Unavailable),
    ],
)
def test_answers_are_classed_by_what_the_caller_does(
    code: int, text: str, kind: type[Exception]
) -> None:
    """And say what was asked, the code, and the server's words."""
    error = refusal("c: GET /x", code, text)
    assert type(error) is kind
    assert str(error).startswith(f"c: GET /x: {code}: ")


def test_a_job_that_somebody_spoilt_is_named() -> None:
    """Rather than taken for what it was."""
    job = job_of(ORDER)
    job["metadata"]["annotations"][names.WANTED] = "fly"
    with pytest.raises(ContractBroken, match="Job n/gridtide-key"):
        run_view(job)
    assert run_view(job | {"metadata": job["metadata"] | {"annotations": {}}}) is None


def test_what_was_seen_is_read_back() -> None:
    """Also where nothing was."""
    seen = Seen(datetime(2026, 6, 7, tzinfo=UTC), None, 3, "exit code 3")
    assert Seen.from_text(seen.as_text()) == seen
    assert Seen.from_text(None) == Seen()


class Server:
    """A stand-in for the API server: lists what it has, then streams what it is given."""

    def __init__(self) -> None:
        self.pages: list[tuple[list[dict[str, Any]], str]] = [([], "7")]
        self.streams: list[list[dict[str, Any]]] = []
        self.asked: list[str] = []

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request; a watch for which there is no stream hears nothing."""
        query = dict(request.url.params)
        self.asked.append(f"{request.method} {query.get('resourceVersion', '')}".strip())
        if "watch" not in query:
            jobs, version = self.pages.pop(0)
            page = {"metadata": {"resourceVersion": version}, "items": jobs}
            return httpx2.Response(200, json=page)
        if not self.streams:
            await asyncio.Event().wait()
        lines = "".join(json.dumps(event) + "\n" for event in self.streams.pop(0))
        return httpx2.Response(200, text=lines)


@pytest.fixture
async def watched() -> AsyncIterator[tuple[Server, Watched[RunView]]]:
    """A watch of that server, not yet running."""
    server = Server()
    transport = httpx2.MockTransport(server)
    async with httpx2.AsyncClient(transport=transport, base_url="https://s") as client:
        api = Api("c", client, 5.0)
        yield server, Watched(api, "/jobs", run_view, lambda: None)


async def test_a_watch_that_missed_too_much_lists_anew(
    watched: tuple[Server, Watched[RunView]],
) -> None:
    """What was deleted meanwhile is gone."""
    server, jobs = watched
    server.pages = [([job_of(ORDER)], "7"), ([], "20")]
    gone = {"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}}
    marked = {"metadata": {"resourceVersion": "30"}}
    server.streams = [[gone], [{"type": "BOOKMARK", "object": marked}]]
    task = asyncio.create_task(jobs.run())
    async with asyncio.timeout(5):
        while jobs.version < 30:
            await asyncio.sleep(0)
    assert jobs.lists == 2
    assert list(jobs.items) == []
    assert server.asked[:4] == ["GET", "GET 7", "GET", "GET 20"]
    task.cancel()


async def test_a_watch_that_ends_goes_on_from_where_it_was(
    watched: tuple[Server, Watched[RunView]],
) -> None:
    """The server ends each after some minutes; nothing is listed again."""
    server, jobs = watched
    later = job_of(ORDER)
    later["metadata"]["resourceVersion"] = "12"
    server.streams = [[{"type": "ADDED", "object": later}], []]
    task = asyncio.create_task(jobs.run())
    await jobs.reach(12)
    async with asyncio.timeout(5):
        while len(server.asked) < 4:
            await asyncio.sleep(0)
    assert server.asked == ["GET", "GET 7", "GET 12", "GET 12"]
    assert [run.order for run in jobs.items] == [ORDER]
    task.cancel()


async def test_one_spoilt_job_does_not_hide_the_others(
    watched: tuple[Server, Watched[RunView]], caplog: pytest.LogCaptureFixture
) -> None:
    """It is left out, and that is said."""
    server, jobs = watched
    spoilt = job_of(replace(ORDER, key="other"), Run(2, 0, Parts(1, 2)))
    spoilt["metadata"]["annotations"][names.ORDER] = "?"
    server.pages = [([spoilt, job_of(ORDER)], "7")]
    task = asyncio.create_task(jobs.run())
    await jobs.reach(7)
    assert [run.order for run in jobs.items] == [ORDER]
    assert "left out" in caplog.text
    task.cancel()


async def test_what_ended_long_ago_is_forgotten_and_what_was_never_released() -> None:
    """Not before its time, and the last run first: without it the others would look paused."""
    now = datetime(2026, 6, 30, tzinfo=UTC)
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(f"{request.method} {request.url.path.rpartition('/')[2]}")
        return httpx2.Response(200, json={})

    transport = httpx2.MockTransport(answer)
    async with httpx2.AsyncClient(transport=transport, base_url="https://s") as client:
        config = replace(CONFIG, keep_finished_hours=48.0)
        session = Session("c", Api("c", client, 5.0), "n", config)
        session.jobs.put(_jobs_of_several_ages(now))
        await keeping.forget(session, now)
    old = names.job_name("old", 1).removesuffix("1")
    assert asked == [
        f"DELETE {names.job_name('never', 1)}",
        f"DELETE {old}2",
        f"DELETE {old}1",
    ]


def _jobs_of_several_ages(now: datetime) -> Iterator[dict[str, Any]]:
    for key, number, wanted, hours in (
        ("old", 1, "pause", 100),
        ("old", 2, "run", 50),
        ("young", 1, "run", 40),
        ("never", 1, None, 40),
    ):
        at = (now - timedelta(hours=hours)).isoformat()
        complete = {"type": "Complete", "status": "True", "lastTransitionTime": at}
        suspended = {"type": "Suspended", "status": "True", "lastTransitionTime": at}
        conditions = [complete if wanted == "run" else suspended]
        run = Run(number, 0, Parts(1, 2))
        job = job_of(replace(ORDER, key=key), run, conditions=conditions)
        job["metadata"]["uid"] = f"{key}-{number}"
        if wanted is not None:
            job["metadata"]["annotations"][names.WANTED] = wanted
        yield job


async def test_a_loop_of_its_own_ends_what_runs_there() -> None:
    """It awaits what is to be done at the end, and starts anew when it is used again."""
    loop = OwnLoop("test")
    done: list[str] = []

    async def say(word: str) -> None:
        done.append(word)

    await loop.run(lambda: say("first"))
    loop.at_end(lambda: say("last"))
    endless = loop.start(lambda: asyncio.sleep(600))
    await asyncio.to_thread(loop.stop)
    assert endless.cancelled()
    assert done == ["first", "last"]
    await loop.run(lambda: say("again"))
    await asyncio.to_thread(loop.stop)
    assert done[-1] == "again"
