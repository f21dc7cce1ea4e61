"""An event loop in a thread of its own: callers on any loop share one connection and cache."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

_ENDS_WITHIN_S = 5.0
_SOCKETS_CLOSE_WITHIN_S = 0.05  # a connection that is closed lets go of its socket a little later


class OwnLoop:
    """Starts with the first call; ``stop`` cancels what still runs there and ends the thread."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._at_end: list[Callable[[], Coroutine[Any, Any, None]]] = []

    def at_end(self, call: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have ``call`` awaited there before the thread ends."""
        self._at_end.append(call)

    async def run(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Await ``call`` there; to cancel this cancels it."""
        return await asyncio.wrap_future(self.start(call))

    def start(self, call: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        """Begin ``call`` there."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_serve, args=(self._loop, self._at_end), daemon=True, name=self._name
                )
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(call(), self._loop)

    def stop(self) -> None:
        """End it; a later call would start anew."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
            self._at_end = []
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        if thread is not threading.current_thread():
            thread.join(_ENDS_WITHIN_S)


def _serve(
    loop: asyncio.AbstractEventLoop, at_end: list[Callable[[], Coroutine[Any, Any, None]]]
) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        for task in (tasks := asyncio.all_tasks(loop)):
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        for call in at_end:
            loop.run_until_complete(call())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(asyncio.sleep(_SOCKETS_CLOSE_WITHIN_S))
    finally:
        loop.close()
