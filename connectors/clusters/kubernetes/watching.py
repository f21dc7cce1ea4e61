"""What a cluster has of one kind, kept up by its own word: listed once, then watched."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from connectors.clusters.kubernetes.api import Api, Expired, refusal, version_of
from connectors.errors import ConnectorError, ContractBroken, Unavailable

V = TypeVar("V")

log = logging.getLogger(__name__)

_SERVER_ENDS_AFTER_S = 300
_SILENT_AT_MOST_S = 150.0  # a bookmark comes every minute, whatever happens
_RETRY_FIRST_AFTER_S = 0.1
_RETRY_SLOWER_BY = 2.0
_RETRY_EVERY_S = 15.0


class Watched(Generic[V]):
    """The objects at ``path``, by uid, as ``parse`` gives them; what it drops is not kept.

    ``on_change`` is called after every change, and when the connection comes or goes.
    """

    def __init__(
        self,
        api: Api,
        path: str,
        parse: Callable[[Mapping[str, Any]], V | None],
        on_change: Callable[[], None],
        **query: str,
    ) -> None:
        self._api = api
        self._path = path
        self._parse = parse
        self._on_change = on_change
        self._query = query
        self._items: dict[str, V] = {}
        self._moved = asyncio.Condition()
        self._hurry = asyncio.Event()
        self._outcomes = 0  # of attempts to connect, so that one waits for a new one
        self.version = 0  # 0: not listed
        self.error: ConnectorError | None = None
        self.lists = 0

    @property
    def items(self) -> Iterable[V]:
        """What is there."""
        return self._items.values()

    async def run(self) -> None:
        """Keep it up until cancelled."""
        wait_s = _RETRY_FIRST_AFTER_S
        while True:
            try:
                if self.version == 0:
                    await self._list()
                await self._follow()
                wait_s = _RETRY_FIRST_AFTER_S
            except Expired:
                self.version = 0
            except ConnectorError as error:
                await self._tell(error)
                await self._pause(wait_s)
                wait_s = min(_RETRY_EVERY_S, wait_s * _RETRY_SLOWER_BY)

    async def reach(self, version: int) -> None:
        """Return once everything up to ``version`` is seen.

        Raises
        ------
        ConnectorError
            What stands against it; one more attempt was made.
        """
        if self.error is None and 0 < self.version >= version:
            return
        outcomes = self._outcomes
        self._hurry.set()
        async with self._moved:
            await self._moved.wait_for(
                lambda: (
                    0 < self.version >= version if self.error is None else self._outcomes > outcomes
                )
            )
            if self.error is not None:
                raise self.error

    def put(self, objects: Iterable[Mapping[str, Any]]) -> None:
        """Take over objects that were read apart, unless newer ones are known."""
        for one in objects:
            if version_of(one["metadata"]) > self.version:
                self._take(one)

    async def _list(self) -> None:
        objects, version = await self._api.list(self._path, **self._query)
        self.lists += 1
        self._items = {}
        for one in objects:
            self._take(one)
        await self._tell(None, version)

    async def _follow(self) -> None:
        seconds = _SERVER_ENDS_AFTER_S - random.randrange(60)  # noqa: S311 - so that they spread
        query = {
            **self._query,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(self.version),
            "timeoutSeconds": str(seconds),
        }
        async with self._api.lines(self._path, _SILENT_AT_MOST_S, **query) as lines:
            await self._tell(None)
            async for line in lines:
                await self._event(_event_of(self._path, line))

    async def _event(self, event: Mapping[str, Any]) -> None:
        kind, one = event["type"], event["object"]
        if kind == "ERROR":
            raise refusal(f"watch of {self._path}", int(one.get("code", 500)), json.dumps(one))
        if kind == "DELETED":
            self._take(one)  # for whoever keeps what was last seen of it
            self._items.pop(one["metadata"]["uid"], None)
        elif kind != "BOOKMARK":
            self._take(one)
        await self._tell(None, version_of(one["metadata"]))

    def _take(self, one: Mapping[str, Any]) -> None:
        uid = one["metadata"]["uid"]
        try:
            view = self._parse(one)
        except ContractBroken as error:
            # One that somebody else has spoilt must not hide the others.
            log.warning("%s is left out: %s", self._path, error)
            view = None
        if view is None:
            self._items.pop(uid, None)
        else:
            self._items[uid] = view

    async def _tell(self, error: ConnectorError | None, version: int | None = None) -> None:
        async with self._moved:
            self.error = error
            self._outcomes += 1
            if version is not None:
                self.version = max(version, self.version)
            self._moved.notify_all()
        self._on_change()

    async def _pause(self, wait_s: float) -> None:
        """Wait before the next attempt, unless somebody is waiting for it."""
        try:
            async with asyncio.timeout(wait_s):
                await self._hurry.wait()
        except TimeoutError:
            return
        finally:
            self._hurry.clear()


def _event_of(path: str, line: str) -> Mapping[str, Any]:
    try:
        event: Mapping[str, Any] = json.loads(line)
    except ValueError as error:
        raise Unavailable(f"watch of {path}: broken off within a line") from error
    return event
