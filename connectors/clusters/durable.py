"""Writing that survives a kill or a power cut at any instant, and locks the kernel gives back."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

_RETRY_EVERY_S = 0.01


def write_json(path: Path, record: dict[str, Any]) -> None:
    """Put ``record`` at ``path``: a reader sees the old content or the new, never a part."""
    write_text(path, json.dumps(record))


def write_text(path: Path, text: str) -> None:
    """Put ``text`` at ``path``: written beside it, flushed to disk, then renamed over it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return what ``write_json`` put there, or None where nothing is."""
    text = read_text(path)
    if text is None:
        return None
    record: dict[str, Any] = json.loads(text)
    return record


def read_text(path: Path) -> str | None:
    """Return the text at ``path``, or None where nothing is."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def sync_folder(folder: Path) -> None:
    """Make names created in ``folder`` last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def lock(path: Path, *, wait_s: float | None = None) -> Iterator[bool]:
    """Hold the lock at ``path``; the kernel gives it back however this process ends.

    Parameters
    ----------
    wait_s
        None waits as long as it takes; else give up after this time.

    Yields
    ------
    bool
        Whether it is held.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        is_held = _take(descriptor, wait_s)
        yield is_held
        if is_held:
            # Closing would not do where another thread forked meanwhile: the child has a copy.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


@asynccontextmanager
async def lock_async(path: Path) -> AsyncIterator[None]:
    """Hold the lock at ``path`` over calls that are awaited, waiting as long as it takes."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _try(descriptor):
            await asyncio.sleep(_RETRY_EVERY_S)
        yield
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _take(descriptor: int, wait_s: float | None) -> bool:
    if wait_s is None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return True
    give_up_at = time.monotonic() + wait_s
    while not _try(descriptor):
        if time.monotonic() >= give_up_at:
            return False
        time.sleep(_RETRY_EVERY_S)
    return True


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
