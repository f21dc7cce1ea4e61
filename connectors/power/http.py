"""Asking who measures, by HTTP."""

from __future__ import annotations

import httpx

from connectors.errors import Rejected, Unavailable

_TOO_MANY = 429
_SHOWN = 200


async def get(client: httpx.AsyncClient, url: str, **query: str) -> httpx.Response:
    """Return the answer where it is one.

    Raises
    ------
    Unavailable, Rejected
        It cannot be reached or understood now, or says no.
    """
    try:
        reply = await client.get(url, params=query or None)
    except (httpx.RequestError, httpx.InvalidURL) as error:
        raise Unavailable(f"{url}: {type(error).__name__}: {error}") from error
    if not reply.is_success:
        is_later = reply.is_server_error or reply.status_code == _TOO_MANY
        text = f"{url}: HTTP {reply.status_code}: {reply.text[:_SHOWN]!r}"
        raise (Unavailable if is_later else Rejected)(text)
    return reply
