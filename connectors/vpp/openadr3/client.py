"""Asking a top node (VTN): with a token that is renewed, page by page, never more than is bounded.

The secret goes to the address of tokens alone. Where the VTN itself names that address it must be
at the VTN's own host: another one has to be configured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from connectors.errors import ContractBroken, CredentialsRefused, Rejected
from connectors.http import Body, HttpPolicy, HttpSource, Reply
from connectors.http_secrets import NO_SECRETS, Secrets

PAGE = 50
MOST_LISTED = 10_000
DEFAULT_EXPIRY_S = 3600.0
_LONGEST_EXPIRY_S = 24 * 3600.0

POLICY = HttpPolicy(
    attempts=2,
    connect_s=5.0,
    answer_s=10.0,
    longest_pause_s=2.0,
    longest_retry_after_s=5.0,
    requests_per_minute=1200.0,
    burst=400,
    most_bytes=4 * 1024 * 1024,
    most_kept_bytes=0,
)


class Version(StrEnum):
    """Versions that are spoken."""

    V3_0_1 = "3.0.1"
    V3_1_0 = "3.1.0"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are. Without ``token_url`` it is asked for, or follows from the version."""

    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...] = ()
    token_url: str | None = None


@dataclass(slots=True)
class Vtn:
    """One VTN; to be used by one event loop at a time.

    Parameters
    ----------
    base_url
        Of its API, with whatever path it is served under.
    clock
        What counts seconds, for when a token is to be renewed.
    """

    base_url: str
    version: Version
    credentials: Credentials
    policy: HttpPolicy = POLICY
    clock: Callable[[], float] = time.monotonic
    _source: HttpSource = field(init=False)
    _token: str | None = field(init=False, default=None, repr=False)
    _renew_at_s: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._source = HttpSource("VTN", self.base_url, self.policy)

    async def listed(self, path: str, query: Mapping[str, str] | None = None) -> list[Any]:
        """Return every object at ``path``, however many pages it takes.

        Raises
        ------
        ContractBroken
            It is no list of objects, or there are more than ``MOST_LISTED``.
        """
        async with self._source.connected():
            return await self._pages(path, query or {})

    async def _pages(self, path: str, query: Mapping[str, str]) -> list[Any]:
        found: list[Any] = []
        while True:
            page_query = {**query, "skip": str(len(found)), "limit": str(PAGE)}
            page = (await self._asked("GET", path, page_query, None)).json()
            if not isinstance(page, list):
                raise ContractBroken(f"VTN: {path}: expected a list, came {type(page).__name__}")
            found += page
            if len(found) > MOST_LISTED:
                raise ContractBroken(f"VTN: {path}: more than {MOST_LISTED} objects")
            if len(page) < PAGE:
                return found

    async def find(self, path: str) -> dict[str, Any] | None:
        """Return the object at ``path``, ``None`` where there is none."""
        reply = await self._asked("GET", path, None, None, frozenset((HTTPStatus.NOT_FOUND,)))
        return None if reply.status == HTTPStatus.NOT_FOUND else _document(reply)

    async def create(self, path: str, document: Mapping[str, Any]) -> dict[str, Any] | None:
        """Create an object and return it as it is known there; ``None`` where it is known."""
        body = Body.of_json(document)
        reply = await self._asked("POST", path, None, body, frozenset((HTTPStatus.CONFLICT,)))
        return None if reply.status == HTTPStatus.CONFLICT else _document(reply)

    async def replace(self, path: str, document: Mapping[str, Any]) -> None:
        """Give an object other values."""
        await self._asked("PUT", path, None, Body.of_json(document))

    async def _asked(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Body | None,
        also: frozenset[int] = frozenset(),
    ) -> Reply:
        """Ask with a token; once more with a new one where that was over early."""
        reply = await self._once(method, path, query, body, also)
        if reply.status == HTTPStatus.UNAUTHORIZED:
            self._token = None
            reply = await self._once(method, path, query, body, also)
        if reply.status == HTTPStatus.UNAUTHORIZED:
            self._token = None
            raise CredentialsRefused(f"{reply.shown}: a new token is refused: {reply.excerpt()}")
        return reply

    async def _once(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Body | None,
        also: frozenset[int],
    ) -> Reply:
        secrets = Secrets({"Authorization": f"Bearer {await self.valid_token()}"})
        also |= {HTTPStatus.UNAUTHORIZED}
        if body is None:
            return await self._source.get(path, query, secrets, also)
        return await self._source.send(method, path, body, secrets, also)

    async def valid_token(self) -> str:
        """Return a token that holds, a new one where the last is half over."""
        if self._token is None or self.clock() >= self._renew_at_s:
            self._token, lasts_s = await self._new_token()
            self._renew_at_s = self.clock() + lasts_s / 2
        return self._token

    async def _new_token(self) -> tuple[str, float]:
        own = self.credentials
        form = {
            "grant_type": "client_credentials",
            "client_id": own.client_id,
            "client_secret": own.client_secret,
        }
        if own.scopes:
            form["scope"] = " ".join(own.scopes)
        source = HttpSource("VTN, tokens", await self._token_url(), self.policy)
        hidden = Secrets(more=(own.client_secret,))
        answer = _document(await source.send("POST", "", Body.of_form(form), hidden))
        token, lasts_s = answer.get("access_token"), answer.get("expires_in", DEFAULT_EXPIRY_S)
        if not isinstance(token, str) or not 0 < len(token) <= 4096 or not token.isascii():
            raise ContractBroken("VTN, tokens: no access_token of 1 to 4096 ASCII characters")
        if isinstance(lasts_s, bool) or not isinstance(lasts_s, int | float) or lasts_s <= 0:
            lasts_s = DEFAULT_EXPIRY_S
        return token, min(float(lasts_s), _LONGEST_EXPIRY_S)

    async def _token_url(self) -> str:
        if self.credentials.token_url is not None:
            return self.credentials.token_url
        if self.version is Version.V3_0_1:
            return f"{self.base_url.rstrip('/')}/auth/token"
        answer = _document(await self._source.get("auth/server", None, NO_SECRETS))
        url = answer.get("tokenURL")
        if not isinstance(url, str) or not _is_same_host(url, self.base_url):
            raise Rejected(
                f"VTN: tokenURL = {str(url)[:200]!r}, is not at the VTN's own host: configure"
                " token_url where that is right"
            )
        return url


def _document(reply: Reply) -> dict[str, Any]:
    document = reply.json()
    if not isinstance(document, dict):
        raise ContractBroken(f"{reply.shown}: expected an object: {reply.excerpt()}")
    return document


def _is_same_host(url: str, base_url: str) -> bool:
    try:
        there, here = urlsplit(url), urlsplit(base_url)
    except ValueError:
        return False
    return (there.scheme, there.netloc) == (here.scheme, here.netloc)
