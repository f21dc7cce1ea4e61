"""Following a log: it begins at once, ends with the reader, and costs a bounded amount."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from scheduler.api import job_logs
from scheduler.db.models import JobStatus, Role
from tests.api.world import World, problem_of


class SilentCluster:
    """Its job runs and writes nothing."""

    def __init__(self) -> None:
        self.n_followers = 0

    async def logs(self, key: str, *, follow: bool = False) -> AsyncIterator[str]:  # noqa: ARG002
        """No line; when followed, none for ever."""
        if follow:
            self.n_followers += 1
            try:
                await asyncio.Event().wait()
            finally:
                self.n_followers -= 1
        for line in ():
            yield line


@pytest.fixture
def silent(world: World, monkeypatch: pytest.MonkeyPatch) -> SilentCluster:
    """The cluster of a running job called train."""
    cluster = SilentCluster()
    monkeypatch.setattr(world.cluster, "logs", cluster.logs)
    world.submit("train")
    world.set_job("train", JobStatus.RUNNING, "DE")
    return cluster


async def until(condition: Any) -> None:
    """Wait until ``condition()`` holds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_reader_who_leaves_a_silent_job_is_noticed(
    world: World, silent: SilentCluster
) -> None:
    """The answer begins before the first line, and nothing is looked at after its reader left."""
    sent: list[str] = []
    has_left = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await has_left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    key = world.secrets[Role.SUBMITTER]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "method": "GET",
        "path": "/v1/jobs/train/logs",
        "query_string": b"follow=true",
        "headers": [(b"authorization", f"Bearer {key}".encode())],
        "scheme": "http",
        "http_version": "1.1",
    }
    request = asyncio.create_task(world.app(scope, receive, send))
    await until(lambda: "http.response.start" in sent and silent.n_followers == 1)
    has_left.set()
    await until(request.done)
    with suppress(asyncio.CancelledError):
        await request
    assert silent.n_followers == 0
    world.app.state.log_followers.require_room()


def test_only_so_many_follow_at_once(
    world: World, silent: SilentCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are asked to come back; reading what there is remains possible."""
    monkeypatch.setattr(job_logs, "MOST_FOLLOWERS", 0)
    answer = world.submitter.get("/v1/jobs/train/logs", params={"follow": True})
    problem_of(answer, 503, "busy")
    assert int(answer.headers["Retry-After"]) > 0
    assert world.submitter.get("/v1/jobs/train/logs").text == ""
    assert silent.n_followers == 0


def test_following_ends_after_a_while(
    world: World, silent: SilentCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forgotten window does not follow for ever; it is told that the job goes on."""
    monkeypatch.setattr(job_logs, "FOLLOW_FOR_S", 0.05)
    answer = world.submitter.get("/v1/jobs/train/logs", params={"follow": True})
    assert "ask again to go on" in answer.text
    assert silent.n_followers == 0
