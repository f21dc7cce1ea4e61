"""Keeps a few processes running side by side, and ends them together."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

log = logging.getLogger(__name__)

POLL_S = 0.2


class KeepsFailing(Exception):
    """A process ended again and again right after its start."""

    def __init__(self, name: str, exit_code: int) -> None:
        super().__init__(f"{name} ended with {exit_code} again and again right after its start")
        self.name, self.exit_code = name, exit_code


@dataclass(frozen=True, slots=True)
class Patience:
    """How long things may take [s], and how often a process may fail at once.

    A process that lasted ``settled_s`` counts as started well. One that did not is started again
    after a pause that doubles from ``pause_s``; ``attempts`` such failures in a row are the end.
    """

    settled_s: float = 10.0
    pause_s: float = 0.5
    attempts: int = 4
    grace_s: float = 15.0


class Child:
    """One process that is started again when it ends."""

    def __init__(self, name: str, command: Sequence[str], patience: Patience) -> None:
        self.name = name
        self._command = command
        self._patience = patience
        self._failures = 0
        self._start_at_s = time.monotonic()
        self._process: subprocess.Popen[bytes] | None = None

    def look_after(self) -> None:
        """Start the process when it is time to, and note its end."""
        if self._process is None:
            if time.monotonic() >= self._start_at_s:
                # A session of its own: Ctrl-C reaches the supervisor, which ends all in order.
                self._process = subprocess.Popen(self._command, start_new_session=True)
                self._start_at_s = time.monotonic()
            return
        exit_code = self._process.poll()
        if exit_code is not None:
            self._note_end(exit_code)

    def _note_end(self, exit_code: int) -> None:
        now_s = time.monotonic()
        has_settled = now_s - self._start_at_s >= self._patience.settled_s
        self._failures = 1 if has_settled else self._failures + 1
        self._process = None
        if self._failures >= self._patience.attempts:
            raise KeepsFailing(self.name, exit_code)
        pause_s = self._patience.pause_s * 2 ** (self._failures - 1)
        self._start_at_s = now_s + pause_s
        log.warning("%s ended with %d; starting it again in %g s", self.name, exit_code, pause_s)

    def terminate(self) -> None:
        """Ask the process to end."""
        if self._process is not None:
            self._process.terminate()

    def wait_or_kill(self, until_s: float) -> None:
        """Wait for the end of the process until ``until_s`` on the monotonic clock, then kill."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, until_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("%s did not end in time and is killed", self.name)
            self._process.kill()
            self._process.wait()


def supervise(
    commands: Mapping[str, Sequence[str]],
    stop: threading.Event,
    patience: Patience | None = None,
) -> None:
    """Run every command until ``stop`` is set; none is left running on return.

    Raises
    ------
    KeepsFailing
        A command cannot be kept running.
    """
    patience = patience or Patience()
    children = [Child(name, command, patience) for name, command in commands.items()]
    try:
        while not stop.is_set():
            for child in children:
                child.look_after()
            stop.wait(POLL_S)
    finally:
        for child in children:
            child.terminate()
        until_s = time.monotonic() + patience.grace_s
        for child in children:
            child.wait_or_kill(until_s)
