"""A line to each cluster and battery: a thread with an event loop, so that none waits for another.

A call that takes too long is left to end by itself. It cannot be undone, because whoever was asked
may still do it; so until it has ended its line is busy, and nothing is asked or assumed of that
cluster or battery.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Coroutine, Hashable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

T = TypeVar("T")

_ENDS_WITHIN_S = 0.1


class Lines:
    """The lines of one dispatcher, made as they are needed and ended with it."""

    def __init__(self) -> None:
        self._loops: dict[Hashable, asyncio.AbstractEventLoop] = {}
        self._last: dict[Hashable, Future[Any]] = {}
        weakref.finalize(self, _stop_all, self._loops)

    def is_busy(self, line: Hashable) -> bool:
        """Whether the last call has not ended."""
        if line not in self._last:
            return False
        # One that has just given its answer takes a moment to end.
        return bool(wait([self._last[line]], _ENDS_WITHIN_S).not_done)

    def start(self, line: Hashable, call: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        """Begin a call on a line that is not busy."""
        if line not in self._loops:
            self._loops[line] = _serve(str(line))
        future = asyncio.run_coroutine_threadsafe(call(), self._loops[line])
        self._last[line] = future
        return future


def _serve(name: str) -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()

    def run() -> None:
        try:
            loop.run_forever()
        finally:
            loop.close()

    threading.Thread(target=run, name=f"line {name}", daemon=True).start()
    return loop


def _stop_all(loops: dict[Hashable, asyncio.AbstractEventLoop]) -> None:
    for loop in loops.values():
        loop.call_soon_threadsafe(loop.stop)
