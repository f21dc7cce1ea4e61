"""The power cap of a run on the GPUs it has, set by a command that may.

The supervisor has no rights on GPUs itself. The command is that of ``deploy/node``:
``... set WATTS|default GPU...`` prints one line, what it reads back and what is wrong. Without one
the job alone knows its cap.
"""

from __future__ import annotations

import signal
import subprocess
import time

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
        self._folder.write_capped(self._run, line)

    def lift(self) -> None:
        """Give the GPUs back as they were. Call it before anybody may have them."""
        if self._command and self._gpus:
            self._set(_DEFAULT)

    def _set(self, watts: str) -> str:
        try:
            done = subprocess.run(
                [*self._command, "set", watts, *self._gpus],
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_ANSWER_S,
                # The supervisor holds back signals that a shell waits for.
                preexec_fn=_hear_all,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{_NONE} {error}"
        if done.returncode != 0 or not done.stdout.strip():
            return f"{_NONE} {self._command[0]}: exit code {done.returncode}: {done.stderr.strip()}"
        return done.stdout.splitlines()[0]


def _hear_all() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
