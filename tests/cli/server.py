"""Puts an app in the place of the server that commands call, without a network."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from typer.testing import CliRunner, Result

from scheduler.cli import app as command_line
from scheduler.cli import client


class AppTransport(httpx.BaseTransport):
    """Hands requests of a synchronous client to an app."""

    def __init__(self, app: FastAPI) -> None:
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Ask the app and read its whole answer."""
        return asyncio.run(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        answer = await self._transport.handle_async_request(request)
        content = await answer.aread()
        return httpx.Response(answer.status_code, headers=answer.headers, content=content)


def talk_to(app: FastAPI, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands talk to ``app`` with ``key``."""

    def http_client(address: str, key: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(transport=AppTransport(app), base_url=address, headers=headers)

    monkeypatch.setattr(client, "http_client", http_client)
    monkeypatch.setenv(client.KEY_VARIABLE, key)


def gridtide(*words: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(command_line, list(words))
