"""A gate between the scheduler and a server, on which the network fails as it is told to.

It understands as much of HTTP/1.1 as it takes to tell one request from the next, so that one can be
held up, repeated behind the sender's back, or carried out without an answer.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from enum import StrEnum
from typing import Any

_CHUNK = 1 << 16
_SLOW_BY_S = 2.0
_STARTS_WITHIN_S = 10.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_DATE = re.compile(rb"(?<=\r\nDate: )[^\r]{29}", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)


class Trouble(StrEnum):
    """What the network does to whoever speaks through the gate."""

    CUT = "cut"  # every connection is reset, and no new one lives
    SLOW = "slow replies"  # every request is held up
    LOST = "lost answers"  # every request is carried out, and its answer lost
    TWICE = "requests sent twice"  # every request is carried out once more


class Gate:
    """A port of its own in front of the server at ``port``, with its TLS where that is given.

    What comes through tells the time of a server whose clock is ``clock_ahead_s`` ahead.
    """

    def __init__(
        self, port: int, outside: ssl.SSLContext | None = None, inside: ssl.SSLContext | None = None
    ) -> None:
        self._to = port
        self._outside, self._inside = outside, inside
        self.clock_ahead_s = 0.0
        self._troubles: Counter[Trouble] = Counter()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"gate to {port}")
        self._is_up = threading.Event()
        self.port = 0

    def start(self) -> None:
        """Open it."""
        self._thread.start()
        if not self._is_up.wait(_STARTS_WITHIN_S):
            raise AssertionError(f"the gate to port {self._to} did not open")

    def stop(self) -> None:
        """Close it for good."""
        self._now(self._end.set)
        self._thread.join(_STARTS_WITHIN_S)

    def begin(self, trouble: Trouble) -> None:
        """Have trouble; what was begun twice has to be ended twice."""
        self._now(lambda: self._begin(trouble))

    def end(self, trouble: Trouble) -> None:
        """Have it no more."""
        self._now(lambda: self._troubles.subtract([trouble]))

    def be_calm(self) -> None:
        """Have no trouble any more."""
        self._now(self._troubles.clear)

    def _now(self, what: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(what)

    def _begin(self, trouble: Trouble) -> None:
        self._troubles[trouble] += 1
        if trouble is Trouble.CUT:
            for writer in self._open:
                writer.transport.abort()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._end = asyncio.Event()
        server = await asyncio.start_server(self._let_in, "127.0.0.1", 0, ssl=self._outside)
        self.port = server.sockets[0].getsockname()[1]
        self._is_up.set()
        await self._end.wait()
        server.close()
        for writer in self._open:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()

    async def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            if not self._troubles[Trouble.CUT]:
                await self._pass_on(reader, writer)
        writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await self._connect()
        ends = {writer, to_server}
        self._open |= ends
        answers = asyncio.create_task(self._answer(from_server, writer))
        try:
            while True:
                request = await _request(reader)
                if self._troubles[Trouble.SLOW]:
                    await asyncio.sleep(_SLOW_BY_S)
                if self._troubles[Trouble.TWICE]:
                    self._beside(self._carry_out(request))
                to_server.write(request)
                await to_server.drain()
        finally:
            self._open -= ends
            answers.cancel()
            to_server.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self._troubles[Trouble.LOST]:
                    break
                writer.write(_DATE.sub(self._other_date, data))
                await writer.drain()
        writer.transport.abort()

    def _other_date(self, date: re.Match[bytes]) -> bytes:
        at = parsedate_to_datetime(date.group().decode()) + timedelta(seconds=self.clock_ahead_s)
        return format_datetime(at, usegmt=True).encode()

    async def _carry_out(self, request: bytes) -> None:
        """Send a request on a connection of its own, and wait for an answer that nobody gets."""
        with suppress(OSError):
            reader, writer = await self._connect()
            writer.write(request)
            await reader.read(_CHUNK)
            writer.transport.abort()

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._to, ssl=self._inside)


async def _request(reader: asyncio.StreamReader) -> bytes:
    """Read one request; ``IncompleteReadError`` where there is no other."""
    head = await reader.readuntil(b"\r\n\r\n")
    if _CHUNKED.search(head):
        raise AssertionError(f"the gate takes no request in chunks: {head!r}")
    length = _LENGTH.search(head)
    return head + (await reader.readexactly(int(length[1])) if length else b"")
