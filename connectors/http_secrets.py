"""Secrets of requests: put on where a request leaves, and taken out of whatever is shown."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ssl import SSLContext
from urllib.parse import quote, quote_plus
from urllib.request import getproxies, proxy_bypass

import httpx

_STARS = "***"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Headers and parameters of a query that nobody may see. Neither is printed.

    ``more`` is what else must not be shown, such as a password that a header holds packed.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    more: tuple[str, ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return bool(self.headers or self.query)

    def hidden(self, text: str) -> str:
        """Return ``text`` with stars for every secret in it."""
        for word in self._words():
            text = text.replace(word, _STARS)
        return text

    def _words(self) -> list[str]:
        plain = {*self.headers.values(), *self.query.values(), *self.more}
        bare = {word.split(" ", 1)[-1] for word in plain}  # of "Bearer x" the x
        found = plain | bare
        found |= {quote(word) for word in found} | {quote_plus(word) for word in found}
        return sorted(filter(None, found), key=len, reverse=True)


NO_SECRETS = Secrets()


class SecretTransport(httpx.AsyncBaseTransport):
    """Sends requests, with the secrets on those to the address of ``url``.

    It stands below the client, which logs addresses; what it adds is in no log and no error. What
    it sends by is lent by who keeps connections, and closed by them.
    """

    def __init__(self, url: httpx.URL, secrets: Secrets, below: httpx.AsyncBaseTransport) -> None:
        self._own = (url.scheme, url.host, url.port)
        self._secrets = secrets
        self._below = below

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        url = request.url
        if (url.scheme, url.host, url.port) == self._own and self._secrets:
            headers = [*request.headers.raw, *_raw(self._secrets.headers)]
            request = httpx.Request(
                request.method,
                url.copy_merge_params(dict(self._secrets.query)) if self._secrets.query else url,
                headers=headers,
                stream=request.stream,
                extensions=request.extensions,
            )
        return await self._below.handle_async_request(request)


@dataclass(slots=True)
class Connections:
    """Connections to ``url``, made for whoever wants some, and kept until all have left.

    As they take the place of a client's own, the environment is asked for a proxy here.
    """

    url: httpx.URL = field(repr=False)
    trust: Callable[[], SSLContext]
    _below: httpx.AsyncHTTPTransport | None = field(init=False, default=None)
    _users: int = field(init=False, default=0)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[httpx.AsyncHTTPTransport]:
        """Give what sends to it."""
        if self._below is None:
            proxy = _proxy(self.url)
            self._below = httpx.AsyncHTTPTransport(verify=self.trust(), proxy=proxy)
        below = self._below
        self._users += 1
        try:
            yield below
        finally:
            self._users -= 1
            if self._users == 0:
                self._below = None
                await below.aclose()


def without_userinfo(url: httpx.URL, secrets: Secrets) -> tuple[httpx.URL, Secrets]:
    """Return an address without ``user:password@``, which is a secret from then on.

    It is that of a proxy of one's own; a source that sends an ``Authorization`` keeps it.
    """
    if not url.userinfo:
        return url, secrets
    packed = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
    headers = {"Authorization": f"Basic {packed}"} | dict(secrets.headers)
    more = (*secrets.more, url.password, url.userinfo.decode())
    return url.copy_with(username=None, password=None), Secrets(headers, secrets.query, more)


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _proxy(url: httpx.URL) -> str | None:
    if proxy_bypass(url.host):
        return None
    proxies = getproxies()
    return proxies.get(url.scheme) or proxies.get("all")
