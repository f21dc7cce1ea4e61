"""Asking a source over HTTP: patiently, seldom, not for the same twice, with no word of secrets.

- What may pass is asked again, after a pause that doubles and is drawn at random up to its length;
  ``Retry-After`` is honoured up to a bound, and told to the caller beyond it.
- What was got once is asked for with its ``ETag`` and ``Last-Modified``, and kept where it stands.
- Each source has a rate of its own (``connectors.http_parts.TokenBucket``).
- A body is bounded, packed or not, and one that ends too early is found out.
- Secrets are put on a request where it leaves, below everything that writes logs, and only on one
  to the address of the source itself; what is shown of an answer is without them.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from http import HTTPStatus
from ssl import SSLContext
from typing import Any, NoReturn
from urllib.parse import urlencode

import httpx

from connectors.errors import ContractBroken, CredentialsRefused, Rejected, Unavailable
from connectors.http_parts import Kept, KeptReplies, TokenBucket, Unpacking, retry_after_s
from connectors.http_secrets import (
    NO_SECRETS,
    Connections,
    Secrets,
    SecretTransport,
    without_userinfo,
)

_SHOWN = 200
_MOST_HOPS = 3
_MAY_PASS = frozenset((408, 425, 429, 500, 502, 503, 504))
_NOT_ALLOWED = frozenset((HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN))

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class HttpPolicy:
    """How patiently and how often a source is asked.

    Attributes
    ----------
    attempts
        Times one question is asked at most.
    connect_s, answer_s
        How long a connection, and a whole answer, may take [s].
    first_pause_s, longest_pause_s
        Upper ends of the first and the longest pause between attempts [s].
    longest_retry_after_s
        What a source asks to wait beyond this is left to the caller [s].
    requests_per_minute, burst
        Rate, and how many may go at once after a while of silence.
    most_bytes
        A longer body is refused, counted unpacked.
    most_kept_bytes
        What is kept of answers to be asked for on condition.
    """

    attempts: int = 4
    connect_s: float = 10.0
    answer_s: float = 60.0
    first_pause_s: float = 1.0
    longest_pause_s: float = 30.0
    longest_retry_after_s: float = 60.0
    requests_per_minute: float = 60.0
    burst: int = 10
    most_bytes: int = 32 * 1024 * 1024
    most_kept_bytes: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is whole. ``shown`` is who was asked for what, without secrets."""

    shown: str
    status: int
    content_type: str
    body: bytes = field(repr=False)
    secrets: Secrets = field(default=NO_SECRETS, repr=False)

    def text(self, *types: str) -> str:
        """Return the body where it is of one of these types, such as ``xml``.

        Raises
        ------
        ContractBroken
            It is of another, or not UTF-8.
        """
        if not any(one in self.content_type.lower() for one in types):
            raise ContractBroken(
                f"{self.shown}: expected {' or '.join(types)}, came {self.content_type!r}:"
                f" {self.excerpt()}"
            )
        try:
            return self.body.decode()
        except UnicodeDecodeError as error:
            raise ContractBroken(f"{self.shown}: not UTF-8: {error}") from error

    def json(self) -> Any:
        """Return the document it holds; ``ContractBroken`` where it is none, or has a NaN."""
        text = self.text("json")
        try:
            return json.loads(text, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise ContractBroken(f"{self.shown}: not JSON: {error}: {self.excerpt()}") from error

    def excerpt(self, text: str | None = None) -> str:
        """Return the beginning of the body, or of a part of it, as it may be shown."""
        text = self.body.decode(errors="replace") if text is None else text
        return repr(self.secrets.hidden(text)[:_SHOWN])


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent; it may hold secrets, and is not printed."""

    content: bytes = field(repr=False)
    content_type: str

    @classmethod
    def of_json(cls, document: object) -> Body:
        """Return a document as JSON."""
        return cls(json.dumps(document, allow_nan=False).encode(), "application/json")

    @classmethod
    def of_form(cls, fields: Mapping[str, str]) -> Body:
        """Return the fields of a form."""
        return cls(urlencode(fields).encode(), "application/x-www-form-urlencoded")


@dataclass(slots=True)
class HttpSource:
    """Asks one source; to be used by one event loop at a time.

    Parameters
    ----------
    owner
        Name of the source, for errors.
    base_url
        Of the source, with whatever path it is served under.
    sleep, clock, draw
        How to wait [s], what counts seconds, and what draws between two ends.
    """

    owner: str
    base_url: str = field(repr=False)  # may hold a password
    policy: HttpPolicy = HttpPolicy()
    sleep: Sleep = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    draw: Callable[[float, float], float] = random.uniform
    _bucket: TokenBucket = field(init=False)
    _kept: KeptReplies = field(init=False)
    _connections: Connections | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        per_s = self.policy.requests_per_minute / 60
        self._bucket = TokenBucket(per_s, self.policy.burst, self.clock)
        self._kept = KeptReplies(self.policy.most_kept_bytes)

    def connected(self) -> AbstractAsyncContextManager[httpx.AsyncHTTPTransport]:
        """Keep connections until all who want them kept have left, for many questions in a row."""
        if self._connections is None:
            url = self._call("", None, NO_SECRETS).url
            self._connections = Connections(url, _trust)
        return self._connections.kept()

    @asynccontextmanager
    async def _client(self, call: _Call) -> AsyncIterator[httpx.AsyncClient]:
        timeout = httpx.Timeout(self.policy.answer_s, connect=self.policy.connect_s)
        async with self.connected() as kept:
            transport = SecretTransport(call.url, call.secrets, kept)
            async with httpx.AsyncClient(
                transport=transport, timeout=timeout, follow_redirects=False
            ) as client:
                yield client

    async def get(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        secrets: Secrets = NO_SECRETS,
        also: frozenset[int] = frozenset(),
    ) -> Reply:
        """Return the answer at ``path``, a success or one of the statuses in ``also``.

        Raises
        ------
        Unavailable
            It cannot be reached, or says to come later, after every attempt.
        CredentialsRefused, Rejected
            It says no.
        ContractBroken
            The answer is too long, or goes where it must not.
        """
        call = self._call(path, query, secrets, also)
        async with self._client(call) as client:
            return await self._ask(call, client)

    async def send(
        self,
        method: str,
        path: str,
        body: Body,
        secrets: Secrets = NO_SECRETS,
        also: frozenset[int] = frozenset(),
    ) -> Reply:
        """Send what may change something, and return the answer, as ``get`` does.

        It is sent once: where no answer comes nobody knows whether it arrived, and who sends it
        knows what to do. No answer is looked for elsewhere.
        """
        call = replace(self._call(path, None, secrets, also), method=method, body=body)
        async with self._client(call) as client:
            await self._take_turn(call)
            return await call.once(client)

    def _call(
        self,
        path: str,
        query: Mapping[str, str] | None,
        secrets: Secrets,
        also: frozenset[int] = frozenset(),
    ) -> _Call:
        base = self.base_url.rstrip("/")
        try:
            # What is asked for at the address itself, as ``.../api?x=y``, has no slash before it.
            url = httpx.URL(f"{base}/{path.lstrip('/')}" if path else base, params=query or None)
        except httpx.InvalidURL as error:
            raise Rejected(f"{self.owner}: its address is none: {error}") from error
        url, secrets = without_userinfo(url, secrets)
        return _Call(self, url, secrets, also)

    async def _ask(self, call: _Call, client: httpx.AsyncClient) -> Reply:
        asked = 0
        while True:
            await self._take_turn(call)
            try:
                return await call.once(client)
            except Unavailable as error:
                asked += 1
                if asked >= self.policy.attempts:
                    raise
                pause_s = self._pause_s(asked, error.retry_after_s)
                if pause_s is None:
                    raise
            await self.sleep(pause_s)

    def _pause_s(self, asked: int, retry_after_s: float | None) -> float | None:
        """Return how long to wait [s]; ``None`` where that is longer than we may."""
        if retry_after_s is not None:
            is_short = retry_after_s <= self.policy.longest_retry_after_s
            return retry_after_s if is_short else None
        end = min(self.policy.longest_pause_s, self.policy.first_pause_s * 2 ** (asked - 1))
        return self.draw(0.0, end)

    async def _take_turn(self, call: _Call) -> None:
        wait_s = self._bucket.seconds_to_turn()
        if wait_s > self.policy.longest_retry_after_s:
            rate = f"{self.policy.requests_per_minute:g} requests a minute"
            raise Unavailable(f"{call.shown}: more than {rate}", retry_after_s=wait_s)
        self._bucket.take()
        if wait_s > 0:
            await self.sleep(wait_s)

    @property
    def kept(self) -> KeptReplies:
        """Answers that are asked for on condition."""
        return self._kept


@dataclass(frozen=True, slots=True)
class _Call:
    """One question to one source, however often it is asked."""

    source: HttpSource
    url: httpx.URL
    secrets: Secrets
    also: frozenset[int]
    method: str = "GET"
    body: Body | None = None

    @property
    def shown(self) -> str:
        return f"{self.source.owner}: {self.url}"

    async def once(self, client: httpx.AsyncClient) -> Reply:
        """Ask, and follow where the answer is elsewhere."""
        url = self.url
        try:
            async with asyncio.timeout(self.source.policy.answer_s):
                for _ in range(_MOST_HOPS + 1):
                    answer = await self._answer(client, url)
                    if isinstance(answer, Reply):
                        return answer
                    url = answer
        except (httpx.RequestError, TimeoutError) as error:
            text = f"{type(error).__name__}: {error}" if str(error) else "no answer in time"
            raise Unavailable(f"{self.shown}: {self.secrets.hidden(text)}") from error
        raise ContractBroken(f"{self.shown}: redirected more than {_MOST_HOPS} times")

    async def _answer(self, client: httpx.AsyncClient, url: httpx.URL) -> Reply | httpx.URL:
        if self.body is not None:
            return await self._answer_to(client, self.body)
        kept = self.source.kept.find(str(url))
        headers = {"Accept-Encoding": "gzip", **({} if kept is None else kept.conditions())}
        async with client.stream("GET", url, headers=headers) as answer:
            if kept is not None and answer.status_code == HTTPStatus.NOT_MODIFIED:
                return self._reply(HTTPStatus.OK, kept.content_type, kept.body)
            if answer.has_redirect_location:
                return self._elsewhere(url, answer)
            body = await self._body(answer)
        content_type = answer.headers.get("content-type", "")
        reply = self._reply(answer.status_code, content_type, body)
        if answer.is_success and _ends_where_it_says(answer.headers):
            self.source.kept.keep(str(url), Kept.of(answer.headers, body))
        elif not answer.is_success and answer.status_code not in self.also:
            self._refuse(answer, reply)
        return reply

    async def _answer_to(self, client: httpx.AsyncClient, sent: Body) -> Reply:
        headers = {"Accept-Encoding": "gzip", "Content-Type": sent.content_type}
        asked = client.stream(self.method, self.url, headers=headers, content=sent.content)
        async with asked as answer:
            if answer.has_redirect_location:
                raise Rejected(
                    f"{self.shown}: HTTP {answer.status_code}: what is sent is not sent elsewhere;"
                    " is the address right?"
                )
            body = await self._body(answer)
        reply = self._reply(answer.status_code, answer.headers.get("content-type", ""), body)
        if not answer.is_success and answer.status_code not in self.also:
            self._refuse(answer, reply)
        return reply

    def _reply(self, status: int, content_type: str, body: bytes) -> Reply:
        return Reply(self.shown, status, content_type, body, self.secrets)

    async def _body(self, answer: httpx.Response) -> bytes:
        unpacking = Unpacking(
            self.shown,
            answer.headers.get("content-encoding", ""),
            self.source.policy.most_bytes,
        )
        async for chunk in answer.aiter_raw():
            unpacking.feed(chunk)
        return unpacking.whole()

    def _elsewhere(self, url: httpx.URL, answer: httpx.Response) -> httpx.URL:
        try:
            there = url.join(answer.headers["location"])
        except httpx.InvalidURL as error:
            raise ContractBroken(f"{self.shown}: redirected to no address: {error}") from error
        is_same = (there.scheme, there.host, there.port) == (url.scheme, url.host, url.port)
        if self.secrets and not is_same:
            raise Rejected(
                f"{self.shown}: HTTP {answer.status_code} to {there.scheme}://{there.host}: not"
                " followed with a secret; is the address of the source right?"
            )
        if there.scheme not in {"http", "https"} or (url.scheme, there.scheme) == ("https", "http"):
            raise ContractBroken(f"{self.shown}: redirected to {there.scheme}:, must stay https")
        return there

    def _refuse(self, answer: httpx.Response, reply: Reply) -> NoReturn:
        text = f"{self.shown}: HTTP {reply.status}: {reply.excerpt()}"
        if reply.status in _MAY_PASS or answer.is_server_error:
            raise Unavailable(text, retry_after_s=retry_after_s(answer.headers))
        raise (CredentialsRefused if reply.status in _NOT_ALLOWED else Rejected)(text)


def _ends_where_it_says(headers: httpx.Headers) -> bool:
    """Whether a body that ended too early has been found out; else it is not to be kept."""
    return any(name in headers for name in ("content-length", "transfer-encoding"))


@cache
def _trust() -> SSLContext:
    """Certificates, read once: it takes longer than most answers."""
    return httpx.create_ssl_context()


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
