"""The power cap of a run on the GPUs it has, set by a command that may.

The supervisor has no rights on GPUs itself. Without a command the job alone knows its cap.

Nothing here may end a supervisor: a report that cannot be written is told in its log.
"""

from __future__ import annotations

import signal
import sys
import time
from contextlib import suppress

from connectors.clusters.cap_command import DEFAULT, NOT_KNOWN, CapCommand
from connectors.clusters.local.jobfolder import JobFolder, Wanted

_CHECK_EVERY_S = 60.0  # somebody else may set another limit
_NONE = "-"


class PowerCap:
    """Keeps the GPUs of the wanted run of a job at the cap that its folder says."""

    def __init__(self, folder: JobFolder, wanted: Wanted) -> None:
        self._folder = folder
        self._run = wanted.run
        self._gpus = [str(index) for index in wanted.gpu_indices]
        command = folder.assignment(wanted.run).power_cap_command
        # The supervisor holds back signals that a shell waits for; it has no threads.
        self._command = CapCommand(command, _hear_all) if command else None
        self._applied: tuple[str, float] | None = None  # the cap, and when [s of monotonic time]

    def keep(self) -> None:
        """Set the cap where it is not what was set, or was not looked at for a while."""
        if self._command is None or not self._gpus:
            return
        text = self._folder.power_cap_text()
        now = time.monotonic()
        if self._applied is not None:
            cap, at = self._applied
            if cap == text and now - at < _CHECK_EVERY_S:
                return
        self._applied = text, now
        watts = f"{float(text):g}" if text else DEFAULT
        line = f"{time.time():.0f} {text or _NONE} {self._command.set(watts, self._gpus)}\n"
        try:
            self._folder.write_capped(self._run, line)
        except OSError as error:
            _say(f"which cap is in force cannot be written: {error}")

    def lift(self) -> None:
        """Give the GPUs back as they were. Call it before anybody may have them."""
        if self._command is not None and self._gpus:
            said = self._command.set(DEFAULT, self._gpus)
            if said.startswith(NOT_KNOWN):
                _say(f"GPUs {', '.join(self._gpus)} may have kept their cap: {said}")


def _say(text: str) -> None:
    with suppress(OSError):  # the log may lie on the disk that is full
        sys.stderr.write(f"gridtide: {text}\n")
        sys.stderr.flush()


def _hear_all() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
