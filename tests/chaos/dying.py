"""A dispatcher that kills itself at a named point of one command. Its clock stands still."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import StrEnum
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from scheduler.db.session import make_engine, make_session_factory
from scheduler.dispatcher import run_dispatcher
from scheduler.services import dispatch
from scheduler.services.outside import Outside
from tests.chaos.process import cluster


class Point(StrEnum):
    """How far a command is."""

    RECORDED = "recorded"  # the intent; nothing was sent
    SENT = "sent"  # carried out; the answer is not known
    ANSWERED = "answered"  # the answer is known; the outcome is not recorded


def die() -> NoReturn:
    """As by kill -9."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def dispatch_until(
    url: str, at: datetime, folder: Path, command: str, point: Point, pipe: Connection
) -> None:
    """Dispatch until a command of the cluster has come to ``point``; says so when it begins."""
    there = cluster(folder)
    method: Callable[[Any], Awaitable[None]] = getattr(there, command)

    async def deadly(argument: Any) -> None:
        if point is Point.RECORDED:
            die()
        await method(argument)
        if point is Point.SENT:
            die()
        dispatch.record_outcome = lambda *_: die()

    setattr(there, command, deadly)
    sessions = make_session_factory(make_engine(url))
    pipe.send("ready")
    run_dispatcher(sessions, lambda _: Outside({"DE": there}), lambda: at, threading.Event(), 0.01)
