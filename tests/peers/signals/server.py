"""A server on loopback that speaks the documents it is given, and may be told to be awkward."""

from __future__ import annotations

import gzip
import hashlib
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from tests.peers.signals.published import Published


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    target: str  # path and query as they came


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Documents(Protocol):
    """The published format of one source."""

    def answer(self, request: Request, published: Published) -> Answer:
        """Answer as the source would."""
        ...


class Awkward(StrEnum):
    """How one answer goes wrong."""

    TRUNCATED = "it ends before its length"
    TRUNCATED_PACKED = "it is packed, and ends before its end"
    CUT = "half of it, as if that were all"
    WRONG_TYPE = "a page for people"
    EMPTY = "nothing"
    HUGE = "it never seems to end"
    BOMB = "it is small until it is unpacked"
    BROKEN_PACKING = "it is not packed as it says"
    SLOW = "it takes its time"
    ENDLESS = "it says nowhere where it ends"


HUGE_BYTES = 4 * 1024 * 1024
SLOW_S = 1.0
_PAGE = b"<!DOCTYPE html><html><body>Please log in to this network</body></html>"


@dataclass
class Peer:
    """The server, what it published, and what it was asked.

    ``next_answers`` come before those of the documents, one for each request; a number is a status.
    ``unchanged`` is how often an answer was only that nothing has changed. Its clock may be wrong.
    """

    documents: Documents
    published: Published
    url: str = ""
    next_answers: deque[Awkward | Answer] = field(default_factory=deque)
    requests: list[Request] = field(default_factory=list)
    unchanged: int = 0
    clock_ahead_s: float = 0.0

    def will(self, *answers: Awkward | Answer) -> None:
        """Answer the next requests like this."""
        self.next_answers.extend(answers)

    def always(self, answer: Awkward | Answer) -> None:
        """Answer many requests like this."""
        self.next_answers.extend([answer] * 20)


def status(code: int, text: str = "no", **headers: str) -> Answer:
    """Return an answer with a status; names of headers with _ for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(text.encode(), "text/plain", code, named)


@contextmanager
def served(documents: Documents, published: Published) -> Iterator[Peer]:
    """Serve until the end of the block."""
    peer = Peer(documents, published)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer, unless who asked has given up waiting."""
            with suppress(ConnectionError):
                _answer(self, peer)

        def date_time_string(self, timestamp: float | None = None) -> str:
            """Date the answer by its own clock."""
            return super().date_time_string((timestamp or time.time()) + peer.clock_ahead_s)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    peer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield peer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(handler: BaseHTTPRequestHandler, peer: Peer) -> None:
    parts = urlsplit(handler.path)
    headers = {name.lower(): value for name, value in handler.headers.items()}
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    request = Request(parts.path, query, headers, handler.path)
    peer.requests.append(request)
    told = peer.next_answers.popleft() if peer.next_answers else None
    if isinstance(told, Answer):
        _send(handler, told, told.body, len(told.body))
        return
    answer = peer.documents.answer(request, peer.published)
    if told is not None:
        _send_awkwardly(handler, answer, told)
        return
    etag = f'"{hashlib.sha256(answer.body).hexdigest()[:16]}"'
    if headers.get("if-none-match") == etag:
        peer.unchanged += 1
        _send(handler, Answer(b"", "", 304, {"ETag": etag}), b"", 0)
        return
    tagged = Answer(answer.body, answer.content_type, answer.status, {"ETag": etag})
    _send(handler, tagged, answer.body, len(answer.body))


def _send_awkwardly(handler: BaseHTTPRequestHandler, answer: Answer, how: Awkward) -> None:
    body = answer.body
    half = body[: len(body) // 2]
    packed, bomb = gzip.compress(body), gzip.compress(b" " * HUGE_BYTES)
    unpacks = Answer(b"", answer.content_type, 200, {"Content-Encoding": "gzip"})
    tagged = Answer(b"", answer.content_type, 200, {"ETag": '"endless"'})
    sent: dict[Awkward, tuple[Answer, bytes, int | None]] = {
        Awkward.TRUNCATED: (answer, half, len(body)),
        Awkward.TRUNCATED_PACKED: (unpacks, packed[: len(packed) // 2], len(packed) // 2),
        Awkward.CUT: (answer, half, len(half)),
        Awkward.WRONG_TYPE: (Answer(_PAGE, "text/html; charset=utf-8"), _PAGE, len(_PAGE)),
        Awkward.EMPTY: (answer, b"", 0),
        Awkward.HUGE: (answer, b" " * HUGE_BYTES, HUGE_BYTES),
        Awkward.BOMB: (unpacks, bomb, len(bomb)),
        Awkward.BROKEN_PACKING: (unpacks, body, len(body)),
        Awkward.SLOW: (answer, body, len(body)),
        Awkward.ENDLESS: (tagged, body, None),
    }
    if how is Awkward.SLOW:
        time.sleep(SLOW_S)
    _send(handler, *sent[how])


def _send(handler: BaseHTTPRequestHandler, head: Answer, body: bytes, length: int | None) -> None:
    handler.send_response(head.status)
    if head.content_type:
        handler.send_header("Content-Type", head.content_type)
    for name, value in head.headers.items():
        handler.send_header(name, value)
    if length is not None:
        handler.send_header("Content-Length", str(length))
    if length is None or len(body) < length:
        handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(body)
