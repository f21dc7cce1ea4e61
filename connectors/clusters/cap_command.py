"""The command that sets power caps on GPUs of this machine: that of ``deploy/node``.

``... set WATTS|default GPU...`` prints one line, what it reads back and what is wrong. A command
that does not come back is left to itself, and ends by its own time limits: killed, it would leave
behind what it has begun, and that would still set a cap after the next command.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence

DEFAULT = "default"
NOT_KNOWN = "-"
_ANSWER_S = 20.0


class CapCommand:
    """Sets caps one after the other, and never beside one that still hangs.

    So whoever sets caps on the same GPUs has the same one.
    ``before_exec`` is called in the new process; only a program without threads may give one.
    """

    def __init__(
        self, command: Sequence[str], before_exec: Callable[[], None] | None = None
    ) -> None:
        self._command = tuple(command)
        self._before_exec = before_exec
        self._abandoned: subprocess.Popen[str] | None = None

    def set(self, watts: str, gpus: Sequence[str]) -> str:
        """Return what is in force on all of ``gpus`` [W] and what is wrong, parted by a blank.

        What is in force is ``NOT_KNOWN`` where the command did not say.
        """
        name = self._command[0]
        if self._abandoned is not None and self._abandoned.poll() is None:
            return f"{NOT_KNOWN} {name}: still does not answer"
        try:
            process = subprocess.Popen(
                [*self._command, "set", watts, *gpus],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                preexec_fn=self._before_exec,  # noqa: PLW1509 - for programs without threads
            )
        except OSError as error:
            return f"{NOT_KNOWN} {error}"
        try:
            said, wrong = process.communicate(timeout=_ANSWER_S)
        except subprocess.TimeoutExpired:
            self._abandon(process)
            return f"{NOT_KNOWN} {name}: no answer within {_ANSWER_S:g} s"
        if process.returncode != 0 or not said.strip():
            return f"{NOT_KNOWN} {name}: exit code {process.returncode}: {wrong.strip()}"
        return said.splitlines()[0]

    def _abandon(self, process: subprocess.Popen[str]) -> None:
        for pipe in filter(None, (process.stdout, process.stderr)):
            pipe.close()
        self._abandoned = process  # not waited for: that could take for ever
