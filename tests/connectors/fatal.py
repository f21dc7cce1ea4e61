"""Makes every Python process started from here kill itself at a chosen point of writing to disk.

A folder with a ``sitecustomize`` on the import path counts calls of ``os.fsync`` in each process
(a fork goes on counting where its parent was) and ends the process as ``kill -9`` does at the call
of the chosen number. Every durable change syncs the file before its rename and the folder
after it, so the numbers visit both sides of each one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

_HOOK = """
import os, signal
_real, _calls = os.fsync, 0
def _fatal(descriptor):
    global _calls
    _calls += 1
    if _calls == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    _real(descriptor)
os.fsync = _fatal
"""


def die_at_fsync(monkeypatch: pytest.MonkeyPatch, folder: Path, call: int) -> None:
    """Have processes started from now on die at this call."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(_HOOK.format(call=call))
    monkeypatch.setenv("PYTHONPATH", str(folder))


def live_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes started from now on live."""
    monkeypatch.delenv("PYTHONPATH")
