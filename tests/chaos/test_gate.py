"""The gate that the chaos runs put before servers: it does to the network what it says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.peers.gate import Gate, Trouble
from tests.peers.processes import wait_until


class Server:
    """Counts what it is sent, and answers with it."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.got.append(body)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_address[1]


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on loopback."""
    running = Server()
    thread = threading.Thread(target=running.http.serve_forever)
    thread.start()
    yield running
    running.http.shutdown()
    thread.join()
    running.http.server_close()


@pytest.fixture
def gate(server: Server) -> Iterator[Gate]:
    """A gate before it."""
    running = Gate(server.port)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def client(gate: Gate) -> Iterator[httpx.Client]:
    """Somebody who speaks through the gate, and keeps the connection."""
    with httpx.Client(base_url=f"http://127.0.0.1:{gate.port}", timeout=20) as client:
        yield client


def say(client: httpx.Client, text: str) -> str:
    """Say something; return the answer."""
    return client.post("/", content=text).text


def test_without_trouble_everything_goes_through(client: httpx.Client, server: Server) -> None:
    """One request after the other, each once."""
    assert [say(client, text) for text in ("a", "b", "c" * 100_000)] == ["a", "b", "c" * 100_000]
    assert [len(got) for got in server.got] == [1, 1, 100_000]


def test_a_cut_network_carries_nothing_until_it_is_mended(
    client: httpx.Client, server: Server, gate: Gate
) -> None:
    """Connections that were open are reset; new ones are, too."""
    say(client, "a")
    gate.begin(Trouble.CUT)
    for _ in range(2):
        with pytest.raises(httpx.TransportError):
            say(client, "lost")
    gate.end(Trouble.CUT)
    assert say(client, "b") == "b"
    assert server.got == [b"a", b"b"]


def test_a_lost_answer_was_carried_out(client: httpx.Client, server: Server, gate: Gate) -> None:
    """The sender only sees that the connection breaks."""
    gate.begin(Trouble.LOST)
    with pytest.raises(httpx.TransportError):
        say(client, "a")
    assert server.got == [b"a"]


def test_what_is_sent_twice_gets_one_answer(
    client: httpx.Client, server: Server, gate: Gate
) -> None:
    """The second copy is carried out behind the back of the sender."""
    gate.begin(Trouble.TWICE)
    assert say(client, "a") == "a"
    wait_until(lambda: server.got == [b"a", b"a"], "both copies came")


def test_troubles_add_up(client: httpx.Client, server: Server, gate: Gate) -> None:
    """What was begun twice is over once it was ended twice."""
    gate.begin(Trouble.CUT)
    gate.begin(Trouble.CUT)
    gate.end(Trouble.CUT)
    with pytest.raises(httpx.TransportError):
        say(client, "a")
    gate.end(Trouble.CUT)
    assert say(client, "b") == "b"
    assert server.got == [b"b"]
