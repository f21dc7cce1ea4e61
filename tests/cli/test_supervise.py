"""Processes that are kept running side by side and end together."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler.cli.supervise import KeepsFailing, Patience, supervise

QUICK = Patience(settled_s=0.5, pause_s=0.05, attempts=3, grace_s=5.0)
NOTE_PID = "import os, pathlib; pathlib.Path({file!r}).open('a').write(f'{{os.getpid()}}\\n');"


def script(file: Path, then: str) -> list[str]:
    """Build a command that notes its process id in ``file`` and goes on with ``then``."""
    return [sys.executable, "-c", f"{NOTE_PID.format(file=str(file))}{then}"]


def noted(file: Path) -> list[int]:
    """Process ids that were noted."""
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def until(condition: Callable[[], object]) -> None:
    """Wait for ``condition``, at most a minute."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "this took too long"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process of ours still runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_stop_ends_every_process(tmp_path: Path) -> None:
    """Also one that ignores SIGTERM, once its grace is over."""
    gentle, deaf = tmp_path / "gentle", tmp_path / "deaf"
    ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    commands = {
        "gentle": script(gentle, "import time; time.sleep(60)"),
        "deaf": script(
            deaf, f"{ignore} pathlib.Path({str(deaf)!r} + '.up').touch(); time.sleep(60)"
        ),
    }
    stop = threading.Event()
    patience = Patience(grace_s=0.5)
    thread = threading.Thread(target=supervise, args=(commands, stop, patience))
    thread.start()
    until(lambda: noted(gentle) and deaf.with_name("deaf.up").exists())
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    assert not any(is_alive(pid) for pid in noted(gentle) + noted(deaf))


def test_a_process_that_dies_is_started_again(tmp_path: Path) -> None:
    """A kill from outside costs a moment, not the service."""
    file = tmp_path / "pids"
    stop = threading.Event()
    commands = {"service": script(file, "import time; time.sleep(60)")}
    thread = threading.Thread(target=supervise, args=(commands, stop, QUICK))
    thread.start()
    until(lambda: len(noted(file)) == 1)
    os.kill(noted(file)[0], 9)
    until(lambda: len(noted(file)) == 2)
    stop.set()
    thread.join(20)
    assert not is_alive(noted(file)[1])


def test_a_process_that_cannot_start_ends_everything(tmp_path: Path) -> None:
    """After three failures in a row it is given up, by name, and the others are ended."""
    file, other = tmp_path / "failing", tmp_path / "other"
    commands = {
        "failing": script(file, "raise SystemExit(7)"),
        "other": script(other, "import time; time.sleep(60)"),
    }
    with pytest.raises(KeepsFailing, match="failing ended with 7"):
        supervise(commands, threading.Event(), QUICK)
    assert len(noted(file)) == QUICK.attempts
    assert not any(is_alive(pid) for pid in noted(other))
