"""The power cap of a run on the GPUs it has, set by a command that may.

The supervisor has no rights on GPUs itself. The command is that of ``deploy/node``:
``... set WATTS|default GPU...`` prints one line, what it reads back and what is wrong. Without one
the job alone knows its cap.

Nothing here may end a supervisor: a report that cannot be written is told in its log, and a command
that does not come back is left to itself, since that of another user (``sudo``) cannot be killed.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress

from connectors.clusters.local.jobfolder import JobFolder, Wanted

_ANSWER_S = 20.0
_CHECK_EVERY_S = 60.0  # somebody else may set another limit
_DEFAULT = "default"
_NONE = "-"


class PowerCap:
    """Keeps the GPUs of the wanted run of a job at the cap that its folder says."""

    def __init__(self, folder: JobFolder, wanted: Wanted) -> None:
        self._folder = folder
        self._run = wanted.run
        self._gpus = [str(index) for index in wanted.gpu_indices]
        self._command = folder.assignment(wanted.run).power_cap_command
        self._applied: tuple[str, float] | None = None  # the cap, and when [s of monotonic time]
        self._abandoned: subprocess.Popen[str] | None = None

    def keep(self) -> None:
        """Set the cap where it is not what was set, or was not looked at for a while."""
        if not self._command or not self._gpus:
            return
        text = self._folder.power_cap_text()
        now = time.monotonic()
        if self._applied is not None:
            cap, at = self._applied
            if cap == text and now - at < _CHECK_EVERY_S:
                return
        self._applied = text, now
        watts = f"{float(text):g}" if text else _DEFAULT
        line = f"{time.time():.0f} {text or _NONE} {self._set(watts)}\n"
        try:
            self._folder.write_capped(self._run, line)
        except OSError as error:
            _say(f"which cap is in force cannot be written: {error}")

    def lift(self) -> None:
        """Give the GPUs back as they were. Call it before anybody may have them."""
        if self._command and self._gpus:
            said = self._set(_DEFAULT)
            if said.startswith(_NONE):
                _say(f"GPUs {', '.join(self._gpus)} may have kept their cap: {said}")

    def _set(self, watts: str) -> str:
        if self._abandoned is not None and self._abandoned.poll() is None:
            return f"{_NONE} {self._command[0]}: still does not answer"
        command = [*self._command, "set", watts, *self._gpus]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                # The supervisor holds back signals that a shell waits for.
                preexec_fn=_hear_all,  # noqa: PLW1509 - it has no threads
            )
        except OSError as error:
            return f"{_NONE} {error}"
        try:
            said, wrong = process.communicate(timeout=_ANSWER_S)
        except subprocess.TimeoutExpired:
            self._abandon(process)
            return f"{_NONE} {self._command[0]}: no answer within {_ANSWER_S:g} s"
        if process.returncode != 0 or not said.strip():
            return f"{_NONE} {self._command[0]}: exit code {process.returncode}: {wrong.strip()}"
        return said.splitlines()[0]

    def _abandon(self, process: subprocess.Popen[str]) -> None:
        with suppress(PermissionError):
            process.kill()
        for pipe in filter(None, (process.stdout, process.stderr)):
            pipe.close()
        self._abandoned = process  # not waited for: that could take for ever


def _say(text: str) -> None:
    with suppress(OSError):  # the log may lie on the disk that is full
        sys.stderr.write(f"gridtide: {text}\n")
        sys.stderr.flush()


def _hear_all() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
