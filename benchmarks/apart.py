"""One measurement in a process of its own, so that its memory is its own and its end is certain.

The process imports what the function it is to call needs, and no more: OR-tools brings a HiGHS of
its own under the same name, and cannot be loaded beside ours.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

LOOK_EVERY_S = 0.25
BYTES_PER_KB, BYTES_PER_MB, PAGE_BYTES = 1024, 1e6, resource.getpagesize()
ROOT = Path(__file__).parents[1]

Tell = Callable[[str], None]
"""Says what is being done now, in case it is never done."""


class Unmeasurable(Exception):
    """There is nothing to measure, for the reason given: no plan, or no time to look for one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a measurement: a value, or why there is none.

    Attributes
    ----------
    peak_mb
        Largest resident memory of the process itself [MB]; of one that was ended, as last seen.
    """

    value: Any
    failure: str | None
    peak_mb: float


def run_apart(function: str, *arguments: Any, allowed_s: float, most_mb: float) -> Outcome:
    """Call ``function(tell, *arguments)`` in a new process, and end that if it takes too much.

    Whatever it started ends with it.

    Parameters
    ----------
    function
        Its module and name, as ``"benchmarks.ours:follow"``: nothing of it is imported here.
    allowed_s, most_mb
        Seconds and resident memory after which the process is ended.
    """
    receiver, sender = multiprocessing.Pipe(duplex=False)
    command = [sys.executable, "-m", "benchmarks.child", str(sender.fileno())]
    with (
        receiver,
        subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            pass_fds=[sender.fileno()],
            start_new_session=True,
        ) as process,
    ):
        sender.close()
        try:
            if process.stdin is not None:
                process.stdin.write(pickle.dumps((function, arguments)))
                process.stdin.close()
            return _awaited(process, receiver, allowed_s, most_mb)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _awaited(
    process: subprocess.Popen[bytes], receiver: Connection, allowed_s: float, most_mb: float
) -> Outcome:
    began, peak_mb, stage = time.monotonic(), 0.0, "starting"
    while True:
        if receiver.poll(LOOK_EVERY_S):
            try:
                is_end, content = receiver.recv()
            except EOFError:
                return Outcome(None, f"{stage}: ended with {process.wait()}", peak_mb)
            if is_end:
                return Outcome(*content)
            stage = content
        peak_mb = max(peak_mb, _resident_mb(process.pid))
        if peak_mb > most_mb:
            return Outcome(None, f"{stage}: took more than {most_mb / 1e3:.1f} GB", peak_mb)
        if time.monotonic() - began > allowed_s:
            return Outcome(None, f"{stage}: not done after {allowed_s:.0f} s", peak_mb)


def _resident_mb(pid: int) -> float:
    """Return the resident memory of a process, 0 where the system does not tell."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0.0
    return int(pages[1]) * PAGE_BYTES / BYTES_PER_MB if len(pages) > 1 else 0.0


def report(sender: Connection) -> None:
    """In the new process: send what it is at, then what came of it."""

    def tell(stage: str) -> None:
        sender.send((False, stage))

    function, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process before
    module, _, name = function.partition(":")
    value, failure = None, None
    try:
        value = getattr(importlib.import_module(module), name)(tell, *arguments)
    except (Unmeasurable, MemoryError) as error:
        failure = str(error) or type(error).__name__
    sender.send((True, (value, failure, _own_peak_mb())))


def _own_peak_mb() -> float:
    """Return the most memory this process held.

    What the system counts for its use of resources has that of the process which began it in it.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        kb = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        kb = str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return int(kb) * BYTES_PER_KB / BYTES_PER_MB
