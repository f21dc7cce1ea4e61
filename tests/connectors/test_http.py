"""Asking over HTTP: what no single source shows."""

from __future__ import annotations

import base64
import gzip
import logging
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import httpx
import pytest

from connectors.errors import ContractBroken, Rejected, Unavailable
from connectors.http import HttpPolicy, HttpSource
from connectors.http_parts import Kept, KeptReplies, TokenBucket, Unpacking, retry_after_s
from connectors.http_secrets import Secrets
from connectors.signals.windows import local_days, parts
from connectors.types import Window
from tests.contracts.live_source import QUICK, Naps
from tests.peers.signals.published import Published
from tests.peers.signals.server import Answer, Awkward, Peer, Request, served, status

KEY = "k/e y+1"
SECRETS = Secrets(headers={"auth-token": KEY}, query={"token": KEY})


class Page:
    """Answers with where it was asked."""

    def answer(self, request: Request, _published: Published) -> Answer:
        """Say it."""
        return Answer(f'"{request.path}"'.encode())


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A server."""
    with served(Page(), Published(15)) as peer:
        yield peer


class Clock:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.naps: list[float] = []

    def __call__(self) -> float:
        """Seconds since it began."""
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        """Move on."""
        self.naps.append(seconds)
        self.now_s += seconds


async def test_pauses_double_and_are_drawn_up_to_their_length(peer: Peer) -> None:
    """Full jitter: of many that were refused together no two come back together."""
    ends: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        ends.append((low, high))
        return high / 2

    naps = Naps()
    policy = HttpPolicy(attempts=6, first_pause_s=1.0, longest_pause_s=5.0)
    peer.always(status(503))
    with pytest.raises(Unavailable):
        await HttpSource("x", peer.url, policy, sleep=naps, draw=draw).get("/")
    assert ends == [(0, 1), (0, 2), (0, 4), (0, 5), (0, 5)]
    assert naps.seconds == [0.5, 1.0, 2.0, 2.5, 2.5]


async def test_a_source_is_asked_at_its_rate(peer: Peer) -> None:
    """So many at once, then one after the other; what took so long as to be no use is refused."""
    clock = Clock()
    policy = HttpPolicy(requests_per_minute=30, burst=3, longest_retry_after_s=10)
    source = HttpSource("x", peer.url, policy, sleep=clock.sleep, clock=clock)
    for _ in range(6):
        await source.get("/")
    assert clock.naps == [2.0, 2.0, 2.0]
    clock.now_s += 1000
    for _ in range(3):
        await source.get("/")
    assert len(clock.naps) == 3


def test_a_bucket_says_how_long_until_a_turn() -> None:
    """Those that wait already are counted."""
    clock = Clock()
    bucket = TokenBucket(0.5, 1, clock)
    waits = []
    for _ in range(3):
        waits.append(bucket.seconds_to_turn())
        bucket.take()
    assert waits == [0.0, 2.0, 4.0]


async def test_too_long_a_queue_is_refused(peer: Peer) -> None:
    """With how long it is."""
    policy = HttpPolicy(requests_per_minute=1, burst=1, longest_retry_after_s=10)
    source = HttpSource("x", peer.url, policy)
    await source.get("/")
    with pytest.raises(Unavailable, match="more than 1 requests a minute") as caught:
        await source.get("/")
    assert caught.value.retry_after_s == pytest.approx(60, abs=2)


async def test_a_secret_is_on_the_request_and_nowhere_else(
    peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever form it takes in an address, and whoever repeats it."""
    caplog.set_level(logging.DEBUG)
    source = HttpSource("x", peer.url, QUICK)
    reply = await source.get("/a", {"zone": "DE-LU"}, SECRETS)
    assert peer.requests[0].query == {"zone": "DE-LU", "token": KEY}
    assert peer.requests[0].headers["auth-token"] == KEY
    forms = (KEY, "k%2Fe+y%2B1", "k%2Fe%20y%2B1", "k/e%20y%2B1")
    peer.will(status(400, " ".join(forms)))
    with pytest.raises(Rejected) as caught:
        await source.get("/a", secrets=SECRETS)
    shown = f"{caplog.text} {caught.value} {reply!r} {SECRETS!r} {source!r}"
    assert "HTTP Request" in caplog.text
    assert not any(form in shown for form in forms)


async def test_a_redirect_within_a_source_is_followed_with_the_secret(peer: Peer) -> None:
    """One that goes round in circles is not followed for ever."""
    source = HttpSource("x", peer.url, QUICK)
    peer.will(status(307, Location="/there"))
    assert (await source.get("/here", secrets=SECRETS)).json() == "/there"
    assert peer.requests[-1].headers["auth-token"] == KEY
    peer.always(status(302, Location="/again"))
    with pytest.raises(ContractBroken, match="redirected more than 3 times"):
        await source.get("/here")


async def test_a_redirect_elsewhere_is_followed_without_one(peer: Peer) -> None:
    """Where there is no secret that could go with it."""
    with served(Page(), Published(15)) as other:
        peer.will(status(302, Location=f"{other.url}/there"))
        assert (await HttpSource("x", peer.url, QUICK).get("/")).json() == "/there"


async def test_a_status_that_is_an_answer_is_given(peer: Peer) -> None:
    """To those who know what it says."""
    peer.will(status(404, "no such day"))
    reply = await HttpSource("x", peer.url, QUICK).get("/", also=frozenset((404,)))
    assert (reply.status, reply.body) == (404, b"no such day")


async def test_an_address_that_is_none_is_refused() -> None:
    """It is a setting, for a person to mend."""
    with pytest.raises(Rejected, match="x: its address is none"):
        await HttpSource("x", "http://[::1", QUICK).get("/")
    with pytest.raises(Unavailable, match="ftp"):
        await HttpSource("x", "ftp://127.0.0.1", QUICK, sleep=Naps()).get("/")


async def test_a_proxy_of_the_environment_is_asked(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for those that are to be reached without it."""
    for name in ("HTTP_PROXY", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", peer.url)
    reply = await HttpSource("x", "http://source.invalid/v1", QUICK).get("/a", secrets=SECRETS)
    assert reply.json() == "/v1/a"
    assert peer.requests[0].target.startswith("http://source.invalid/v1/a?token=")
    monkeypatch.setenv("no_proxy", "source.invalid")
    with pytest.raises(Unavailable):
        await HttpSource("x", "http://source.invalid", QUICK, sleep=Naps()).get("/a")


async def test_a_password_in_an_address_is_a_secret(
    peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    """As of a proxy of one's own: it is sent, and not shown."""
    caplog.set_level(logging.DEBUG)
    address = peer.url.replace("http://", "http://me:s3cr%20et@")
    source = HttpSource("x", address, QUICK)
    assert (await source.get("/a")).json() == "/a"
    packed = peer.requests[0].headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(packed) == b"me:s3cr et"
    peer.will(status(400, "me:s3cr%20et s3cr et"))
    with pytest.raises(Rejected) as caught:
        await source.get("/a")
    assert "s3cr" not in f"{caught.value} {caplog.text} {source!r}"


async def test_what_may_have_been_cut_short_is_not_kept(peer: Peer) -> None:
    """A body of which nobody says where it ends would else be taken for the whole for ever."""
    peer.will(Awkward.ENDLESS)
    source = HttpSource("x", peer.url, QUICK)
    assert (await source.get("/a")).json() == "/a"
    await source.get("/a")
    assert "if-none-match" not in peer.requests[1].headers
    await source.get("/a")
    assert "if-none-match" in peer.requests[2].headers


async def test_an_address_is_asked_as_it_is(peer: Peer) -> None:
    """Without a slash that nobody wrote."""
    await HttpSource("x", f"{peer.url}/api/", QUICK).get("", {"a": "b"})
    assert peer.requests[0].target == "/api?a=b"


def test_a_body_is_unpacked_no_further_than_its_bound() -> None:
    """What would fill the memory never gets there."""
    bomb = gzip.compress(b" " * 50_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(ContractBroken, match="longer than 1000 bytes"):
            Unpacking("x", "gzip", 1000).feed(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_what_is_kept_is_bounded() -> None:
    """Those used last stay; what cannot be asked about is not kept at all."""
    kept = KeptReplies(10)
    for name in ("a", "b", "c"):
        kept.keep(name, Kept(b"12345", "", f'"{name}"', ""))
        kept.find("a")
    assert [kept.find(name) is not None for name in ("a", "b", "c")] == [True, False, True]
    kept.keep("c", Kept(b"12345", "", "", ""))
    kept.keep("d", Kept(b"12345678901", "", '"d"', ""))
    assert kept.find("c") is kept.find("d") is None
    assert Kept(b"", "", "", "Mon").conditions() == {"If-Modified-Since": "Mon"}


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120.0),
        ("Sun, 07 Jun 2026 10:02:00 GMT", 120.0),
        ("Sun, 07 Jun 2026 09:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_how_long_to_wait_is_read_either_way(said: str, seconds: float | None) -> None:
    """A date by the clock of who says it; what says nothing is nothing."""
    headers = httpx.Headers({"Retry-After": said, "Date": "Sun, 07 Jun 2026 10:00:00 GMT"})
    assert retry_after_s(headers) == seconds


def test_windows_are_cut_and_grown_to_days() -> None:
    """Parts touch; days are those of a zone, of 23 hours in spring."""
    start = datetime(2026, 3, 28, 23, tzinfo=UTC)
    window = Window(start, start + timedelta(hours=23))
    assert local_days(window, "Europe/Berlin") == window
    inner = Window(start + timedelta(hours=5), start + timedelta(hours=6))
    assert local_days(inner, "Europe/Berlin") == window
    cut = parts(window, timedelta(hours=10))
    assert [(one.end - one.start) / timedelta(hours=1) for one in cut] == [10, 10, 3]
    assert all(first.end == second.start for first, second in pairwise(cut))


@contextmanager
def counting() -> Iterator[tuple[str, list[socket.socket]]]:
    """Serve an answer to every request of a connection; give the connections that were made."""
    made: list[socket.socket] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection:
            while connection.recv(65_536):
                head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2"
                connection.sendall(head + b"\r\n\r\n{}")

    def accept() -> None:
        with suppress(OSError):  # it is closed in the end
            while True:
                made.append(listening.accept()[0])
                threading.Thread(target=answer, args=(made[-1],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", made
    finally:
        listening.close()


async def test_connections_are_kept_while_somebody_wants_them_kept() -> None:
    """Many questions in a row then take one; who asks beside them takes it along with them."""
    with counting() as (base, made):
        source = HttpSource("feed", base, QUICK)
        await source.get("a")
        await source.get("b")
        assert len(made) == 2
        async with source.connected():
            for _ in range(5):
                await source.get("c")
            async with source.connected():
                await source.get("d")
            await source.get("e")
        assert len(made) == 3
        await source.get("f")
        assert len(made) == 4
