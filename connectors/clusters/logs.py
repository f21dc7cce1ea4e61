"""Lines of a file that may still be written to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

_READ_BYTES = 1 << 16
_LOOK_EVERY_S = 0.1


async def lines(path: Path, is_over: Callable[[], bool]) -> AsyncIterator[str]:
    """Yield the lines at ``path``, waiting for more until ``is_over``; the last may be unended."""
    offset = 0
    rest = b""
    while True:
        was_over = await asyncio.to_thread(is_over)  # asked first: nothing is written after it
        part = await asyncio.to_thread(_read, path, offset)
        offset += len(part)
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")
        if part:
            continue
        if was_over:
            break
        await asyncio.sleep(_LOOK_EVERY_S)
    if rest:
        yield rest.decode(errors="replace")


def _read(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(_READ_BYTES)
    except FileNotFoundError:
        return b""
