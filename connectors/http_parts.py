"""Parts of asking over HTTP: a rate, bodies that are bounded and whole, answers kept."""

from __future__ import annotations

import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from connectors.clocks import date_of
from connectors.errors import ContractBroken, Unavailable

_GZIP = 16 + zlib.MAX_WBITS
_ENCODINGS = ("", "identity", "gzip", "x-gzip")


class TokenBucket:
    """A rate: ``per_s`` turns a second on average, ``burst`` at once after a while of silence."""

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._at_s = clock()

    def seconds_to_turn(self) -> float:
        """Return how long it is until the next turn [s]."""
        now_s = self._clock()
        self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        return max(0.0, (1 - self._tokens) / self._per_s)

    def take(self) -> None:
        """Take the next turn; whoever takes one waits for it."""
        self._tokens -= 1


class Unpacking:
    """A body as it comes in: unpacked no further than its bound, and whole or refused.

    That one which is not packed ends too early the transport itself finds out, by its length.
    """

    def __init__(self, shown: str, encoding: str, most_bytes: int) -> None:
        if encoding.strip().lower() not in _ENCODINGS:
            raise ContractBroken(f"{shown}: body is packed as {encoding!r}, must be gzip or not be")
        self._shown = shown
        self._most_bytes = most_bytes
        self._packed = zlib.decompressobj(_GZIP) if "gzip" in encoding.lower() else None
        self._body = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Take in the next part.

        Raises
        ------
        ContractBroken
            The body is too long, or is not packed as it says.
        """
        if self._packed is None:
            self._body += chunk
        else:
            room = self._most_bytes - len(self._body) + 1
            try:
                self._body += self._packed.decompress(chunk, room)
            except zlib.error as error:
                raise ContractBroken(f"{self._shown}: body is not gzip: {error}") from error
        if len(self._body) > self._most_bytes:
            raise ContractBroken(f"{self._shown}: body is longer than {self._most_bytes} bytes")

    def whole(self) -> bytes:
        """Return the body.

        Raises
        ------
        Unavailable
            It ended before its end.
        """
        if self._packed is not None and not self._packed.eof:
            raise Unavailable(f"{self._shown}: the packed body ends before its end")
        return bytes(self._body)


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer, and by what to ask whether it still stands."""

    body: bytes
    content_type: str
    etag: str
    last_modified: str

    @classmethod
    def of(cls, headers: Mapping[str, str], body: bytes) -> Kept:
        """Return an answer with what its headers say."""
        names = ("content-type", "etag", "last-modified")
        return cls(body, *(headers.get(name, "") for name in names))

    def conditions(self) -> dict[str, str]:
        """Return the headers of a request for anything but this."""
        asked = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in asked.items() if value}


class KeptReplies:
    """The answers used last, by address, up to a sum of bytes; only such as can be asked about."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._by_url: OrderedDict[str, Kept] = OrderedDict()

    def find(self, url: str) -> Kept | None:
        """Return what is kept of an address."""
        if url in self._by_url:
            self._by_url.move_to_end(url)
        return self._by_url.get(url)

    def keep(self, url: str, kept: Kept) -> None:
        """Keep an answer, in the place of older ones."""
        before = self._by_url.pop(url, None)
        self._bytes -= 0 if before is None else len(before.body)
        if not kept.conditions() or len(kept.body) > self._most_bytes:
            return
        self._by_url[url] = kept
        self._bytes += len(kept.body)
        while self._bytes > self._most_bytes:
            _, oldest = self._by_url.popitem(last=False)
            self._bytes -= len(oldest.body)


def retry_after_s(headers: httpx.Headers) -> float | None:
    """Return how long an answer asks to wait [s]: seconds, or until a date by its own clock."""
    said = headers.get("retry-after", "").strip()
    if said.isdecimal():
        return float(said)
    until = date_of(said) if said else None
    if until is None:
        return None
    there = date_of(headers.get("date"))
    return max(0.0, until - (time.time() if there is None else there))
