"""An HTTPS proxy that answers itself: whoever trusts its authority believes to speak to the world.

Certificates are made with the ``openssl`` program.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that came through."""

    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What it is answered with."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


World = Callable[[Asked], Answer]


@dataclass(slots=True)
class TlsProxy:
    """Where the proxy listens, whom to trust, and what was asked through it."""

    address: str
    authority: Path
    asked: list[Asked] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """Variables that send Python programs through it."""
        return {
            "HTTPS_PROXY": self.address,
            "https_proxy": self.address,
            "NO_PROXY": "",
            "no_proxy": "",
            "REQUESTS_CA_BUNDLE": str(self.authority),
            "SSL_CERT_FILE": str(self.authority),
        }


@contextmanager
def tls_proxy(folder: Path, hosts: Sequence[str], world: World) -> Iterator[TlsProxy]:
    """Run a proxy that is every one of ``hosts``."""
    authority, context = _certificates(folder, hosts)
    proxy = TlsProxy("", authority)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_CONNECT(self) -> None:
            self.send_response(200)
            self.end_headers()
            host = self.path.partition(":")[0]
            with context.wrap_socket(self.connection, server_side=True) as inside:
                _serve_inside(inside, host, world, proxy.asked)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _serve_inside(inside: ssl.SSLSocket, host: str, world: World, asked: list[Asked]) -> None:
    class Inner(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            split = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(split.query).items()}
            question = Asked(host, split.path, query, dict(self.headers))
            asked.append(question)
            answer = world(question)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Connection", "close")
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Stay silent."""

    Inner(inside, inside.getpeername(), None)  # type: ignore[arg-type]
    try:
        inside.unwrap().shutdown(socket.SHUT_WR)
    except OSError:
        return  # the other side has gone already


def _certificates(folder: Path, hosts: Sequence[str]) -> tuple[Path, ssl.SSLContext]:
    key, authority, request, certificate = (
        folder / name for name in ("key.pem", "authority.pem", "request.pem", "certificate.pem")
    )
    names = folder / "names.cnf"
    names.write_text("subjectAltName=" + ",".join(f"DNS:{host}" for host in hosts))
    new = ("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key))
    commands = (
        (*new, "-x509", "-days", "2", "-subj", "/CN=Test authority", "-out", str(authority)),
        ("openssl", "req", "-new", "-key", str(key), "-subj", "/CN=test", "-out", str(request)),
        ("openssl", "x509", "-req", "-in", str(request), "-CA", str(authority), "-CAkey", str(key),
         "-CAcreateserial", "-days", "2", "-extfile", str(names), "-out", str(certificate)),
    )  # fmt: skip
    for command in commands:
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return authority, context
