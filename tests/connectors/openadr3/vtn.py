"""A top node of our own: both versions, over real HTTP, held to the published API where it can."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.connectors.openadr3.api import FACTS, Sent, definition

SECRET = "s3cr3t-of-the-ven"  # noqa: S105 - of a server of our own


def problem(status: int) -> JSONResponse:
    """Return a refusal as the API has it."""
    return JSONResponse({"title": "no", "status": status}, status)


class TestVtn:
    """What it knows is in ``events``, ``vens``, ``resources``, ``reports``; faults in ``fault``."""

    __test__ = False

    def __init__(self, version: str) -> None:
        self.version = version
        self.events: list[Any] = []
        kinds = ("vens", "resources", "reports", "subscriptions")
        self.kept: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
        self.mqtt: dict[str, Any] | None = None  # as the API has it
        self.topics = {name: f"oadr/us/events/{name}" for name in ("CREATE", "UPDATE", "DELETE")}
        self.tokens: set[str] = set()
        self.tokens_given = 0
        self.expires_in: float | None = 3600
        self.token_url: str | None = None
        self.next_token: str | None = None
        self.fault: Callable[[Request], Awaitable[Response]] | None = None
        self.asked: list[tuple[str, str]] = []
        self.problems: list[str] = []
        self.base = ""
        self.is_held_to_definition = FACTS is not None

    def app(self) -> Starlette:
        """Return it as an application."""
        return Starlette(
            routes=[Route("/{path:path}", self._whatever, methods=["GET", "POST", "PUT", "DELETE"])]
        )

    def is_at(self, base: str) -> None:
        """Be told where it is served."""
        self.base = base

    async def _whatever(self, request: Request) -> Response:
        path = request.path_params["path"]
        self.asked.append((request.method, path))
        if self.fault is not None and not path.startswith("auth"):
            return await self.fault(request)
        answer = await self._answer(request, path.split("/"))
        self._hold_to_definition(request, await request.body(), answer)
        return answer

    async def _answer(self, request: Request, parts: list[str]) -> Response:
        if parts == ["auth", "server"]:
            return JSONResponse({"tokenURL": self.token_url or f"{self.base}/auth/token"})
        if parts == ["auth", "token"]:
            return self._token(parse_qs((await request.body()).decode()))
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return problem(401)
        if parts[0] == "notifiers":
            return self._notifiers(parts)
        if parts[0] == "vens" and parts[2:] == ["resources"]:
            parts = ["resources"]
        if request.method == "GET":
            return self._found(request, parts)
        return self._stored(request.method, parts, await request.json())

    def _token(self, form: dict[str, list[str]]) -> Response:
        if form.get("client_secret") != [SECRET]:
            return JSONResponse({"error": "invalid_client"}, 401)
        token = self.next_token or secrets.token_hex(8)
        self.tokens.add(token)
        self.tokens_given += 1
        lasts = {} if self.expires_in is None else {"expires_in": self.expires_in}
        return JSONResponse({"access_token": token, "token_type": "Bearer", **lasts})

    def _notifiers(self, parts: list[str]) -> Response:
        if parts == ["notifiers"]:
            mqtt = {} if self.mqtt is None else {"MQTT": self.mqtt}
            return JSONResponse({"WEBHOOK": True, **mqtt})
        is_known = any(parts[4:] == [ven["id"], "events"] for ven in self.kept["vens"])
        return JSONResponse({"topics": self.topics}) if is_known else problem(404)

    def _found(self, request: Request, parts: list[str]) -> Response:
        objects = self.events if parts[0] == "events" else self.kept[parts[0]]
        if len(parts) > 1:
            known = next((each for each in objects if each["id"] == parts[1]), None)
            return problem(404) if known is None else JSONResponse(known)
        for name in ("venName", "venID", "eventID", "clientName"):
            wanted = request.query_params.get(name)
            objects = [each for each in objects if wanted is None or each[name] == wanted]
        skip, limit = (int(request.query_params[name]) for name in ("skip", "limit"))
        return JSONResponse(objects[skip : skip + limit])

    def _stored(self, method: str, parts: list[str], document: dict[str, Any]) -> Response:
        objects = self.kept[parts[0]]
        if method == "PUT":
            place = next(at for at, each in enumerate(objects) if each["id"] == parts[1])
            objects[place] = {**objects[place], **document}
            return JSONResponse(objects[place])
        name = {"vens": "venName", "resources": "resourceName"}.get(parts[0])
        if name is not None and any(each[name] == document[name] for each in objects):
            return problem(409)
        kind = parts[0].removesuffix("s").upper()
        if self.version == "3.1.0":
            document["clientID"] = "client"
            kind = {"VEN": "BL_VEN_REQUEST", "RESOURCE": "BL_RESOURCE_REQUEST"}.get(kind, kind)
        objects.append({**document, **metadata(f"{parts[0]}-{len(objects)}"), "objectType": kind})
        return JSONResponse(objects[-1], 201)

    def _hold_to_definition(self, request: Request, body: bytes, answer: Response) -> None:
        if not self.is_held_to_definition:
            return
        path = "/" + request.path_params["path"]
        asked = Sent(path, request.method, request.query_params, request.headers)
        asked.body = body or None
        given = Sent(path, request.method, {}, answer.headers)
        given.status_code, given.body = answer.status_code, bytes(answer.body)
        self.problems += definition(self.version).problems(asked, given)


def metadata(number: str) -> dict[str, str]:
    """Return what a VTN adds to an object."""
    at = datetime(2026, 6, 15, 10, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"id": number, "createdDateTime": at, "modificationDateTime": at}


def event(number: str, *intervals: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return an event of one program, whose objects have what the API asks for."""
    body = {"programID": "dr", "intervals": list(intervals), "objectType": "EVENT"}
    return {**metadata(number), **body, **more}


def limit(value: float, number: int = 0, kind: str = "IMPORT_CAPACITY_LIMIT") -> dict[str, Any]:
    """Return an interval with one value."""
    return {"id": number, "payloads": [{"type": kind, "values": [value]}]}


@contextmanager
def serving(vtn: TestVtn) -> Iterator[TestVtn]:
    """Serve it on a free port of this machine, in a thread of its own."""
    config = uvicorn.Config(vtn.app(), host="127.0.0.1", port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while not server.started and time.monotonic() < until:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    vtn.is_at(f"http://127.0.0.1:{port}")
    try:
        yield vtn
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)


def said(answer: object) -> bytes:
    """Return JSON, also such as no VTN may say."""
    return json.dumps(answer).encode()
