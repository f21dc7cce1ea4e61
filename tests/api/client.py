"""A client that calls an app directly, in this thread, without a server."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI


class Client:
    """Sends requests with one API key; errors of the app come back as answers."""

    def __init__(self, app: FastAPI, key: str | None = None) -> None:
        self.app = app
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request; ``options`` are those of httpx."""
        headers = self._headers | options.pop("headers", {})
        return asyncio.run(self._send(method, path, headers=headers, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Send a GET."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """Send a POST."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> httpx.Response:
        """Send a PUT."""
        return self.request("PUT", path, **options)

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://gridtide") as client:
            return await client.request(method, path, **options)
