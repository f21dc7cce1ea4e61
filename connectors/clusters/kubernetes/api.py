"""The API server, asked in JSON. What it refuses is classed by what the caller does about it.

Only the few verbs the connector needs; configuration, credentials and TLS come from lightkube.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from connectors.clocks import ahead_by_date
from connectors.errors import ConnectorError, ContractBroken, Rejected, Unavailable

_PAGE = 500
_MERGE_PATCH = "application/merge-patch+json"
_LONGEST_MESSAGE = 500
_UNAUTHORIZED = 401


class NotFound(Rejected):
    """There is no such object."""


class Conflict(Unavailable):
    """It is there already, or has changed since it was read. Read it again."""


class Expired(Unavailable):
    """What is asked for is too long ago to be told. List anew."""


_KINDS: dict[int, type[ConnectorError]] = {
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    410: Expired,
    429: Unavailable,
}


class Api:
    """Asks one API server.

    ``calls`` counts what was asked; ``is_refused`` says that our credentials were not accepted;
    ``clock_ahead_s`` how far its clock was ahead of ours when it last answered [s].
    """

    def __init__(self, cluster: str, client: httpx2.AsyncClient, timeout_s: float) -> None:
        self._cluster = cluster
        self._client = client
        self._timeout_s = timeout_s
        self.calls = 0
        self.is_refused = False
        self.clock_ahead_s: float | None = None

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """Read one object."""
        return await self._ask("GET", path, query)

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object; ``Conflict`` where its name is taken."""
        return await self._ask("POST", path, {}, body)

    async def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Merge ``body`` into an object; ``Conflict`` where it names a version that is over."""
        return await self._ask("PATCH", path, {}, body, _MERGE_PATCH)

    async def delete(self, path: str, version: int) -> None:
        """Delete an object as it was read, and what belongs to it in the background."""
        body = {
            "propagationPolicy": "Background",
            "preconditions": {"resourceVersion": str(version)},
        }
        await self._ask("DELETE", path, {}, body)

    async def list(self, path: str, **query: str) -> tuple[list[dict[str, Any]], int]:
        """Return all objects at ``path`` as they are now, and the version that was."""
        items: list[dict[str, Any]] = []
        more = {"limit": str(_PAGE)}
        while True:
            page = await self._ask("GET", path, {**query, **more})
            meta = page["metadata"]
            items += page["items"]
            if not meta.get("continue"):
                return items, version_of(meta)
            more["continue"] = meta["continue"]

    @asynccontextmanager
    async def lines(
        self, path: str, read_timeout_s: float | None, **query: str
    ) -> AsyncIterator[AsyncIterator[str]]:
        """Open a stream of lines that may never end: a watch, or a log."""
        timeout = httpx2.Timeout(self._timeout_s, read=read_timeout_s)
        self.calls += 1
        what = f"GET {path}"
        request = self._client.build_request("GET", path, params=query, timeout=timeout)
        async with self._named(what):
            async with asyncio.timeout(self._timeout_s):
                reply = await self._client.send(request, stream=True)
            try:
                if reply.is_error:
                    await reply.aread()
                    raise self._refusal(what, reply)
                yield reply.aiter_lines()
            finally:
                await reply.aclose()

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        media: str = "application/json",
    ) -> dict[str, Any]:
        self.calls += 1
        what = f"{method} {path}"
        content = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": media}
        async with self._named(what), asyncio.timeout(self._timeout_s):
            began = time.time()
            reply = await self._client.request(
                method, path, params=query, content=content, headers=headers
            )
            ahead = ahead_by_date(reply.headers.get("date"), began)
            self.clock_ahead_s = self.clock_ahead_s if ahead is None else ahead
        if reply.is_error:
            raise self._refusal(what, reply)
        try:
            answer = reply.json()
        except ValueError as error:
            raise ContractBroken(f"{self._cluster}: {what}: expected JSON: {error}") from error
        if not isinstance(answer, dict):
            raise ContractBroken(f"{self._cluster}: {what}: expected an object, got {answer!r:.80}")
        return answer

    @asynccontextmanager
    async def _named(self, what: str) -> AsyncIterator[None]:
        """Say what was asked where the answer does not come."""
        try:
            yield
        except TimeoutError as error:
            raise Unavailable(
                f"{self._cluster}: {what}: no answer within {self._timeout_s:g} s"
            ) from error
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise Unavailable(f"{self._cluster}: {what}: {error!r}") from error

    def _refusal(self, what: str, reply: httpx2.Response) -> ConnectorError:
        self.is_refused = self.is_refused or reply.status_code == _UNAUTHORIZED
        return refusal(f"{self._cluster}: {what}", reply.status_code, reply.text)


def refusal(what: str, code: int, text: str) -> ConnectorError:
    """Return the error for an answer that is one, with what the server says about it."""
    try:
        message = str(json.loads(text).get("message", text))
    except (ValueError, AttributeError):
        message = text
    words = f"{what}: {code}: {message[:_LONGEST_MESSAGE]}"
    if code == 504 and "Too large resource version" in message:
        return Expired(words)  # it has another past than the one we knew, as after a restore
    if code == _UNAUTHORIZED:
        return Unavailable(f"{words}: our credentials are not accepted; are they expired?")
    if code in _KINDS:
        return _KINDS[code](words)
    return Rejected(words) if code < 500 else Unavailable(words)


def version_of(meta: Mapping[str, Any]) -> int:
    """Return the version in the metadata of an object or a list; later is larger."""
    try:
        return int(meta["resourceVersion"])
    except (KeyError, ValueError) as error:
        raise ContractBroken(f"expected a resourceVersion, got {meta!r:.80}") from error
