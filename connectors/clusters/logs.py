"""Lines of a file that may still be written to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

_READ_BYTES = 1 << 16
_LONGEST_LINE = 1 << 16
_LOOK_FIRST_AFTER_S = 0.1
_LOOK_SLOWER_BY = 1.5
_LOOK_EVERY_S = 1.0


async def lines(path: Path, is_over: Callable[[], bool]) -> AsyncIterator[str]:
    """Yield the lines at ``path``, waiting for more until ``is_over``; the last may be unended.

    A line of more than 64 KiB comes in pieces. While nothing is written it looks ever less often,
    down to once a second.
    """
    offset = 0
    rest = b""
    wait_s = _LOOK_FIRST_AFTER_S
    while True:
        was_over = await asyncio.to_thread(is_over)  # asked first: nothing is written after it
        part = await asyncio.to_thread(_read, path, offset)
        offset += len(part)
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")
        if len(rest) >= _LONGEST_LINE:
            yield rest.decode(errors="replace")
            rest = b""
        if part:
            wait_s = _LOOK_FIRST_AFTER_S
            continue
        if was_over:
            break
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * _LOOK_SLOWER_BY, _LOOK_EVERY_S)
    if rest:
        yield rest.decode(errors="replace")


def _read(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(_READ_BYTES)
    except FileNotFoundError:
        return b""
