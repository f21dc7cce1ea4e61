"""Programs whose clock is ahead of or behind ours, by libfaketime, which they do not notice.

What counts the time since a start, as the kernel does, stays as it is: as where a clock is set.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_KEEPS_COUNTING = "FAKETIME_DONT_FAKE_MONOTONIC=1"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where libfaketime keeps what it shares


def program_clock(ahead_s: float) -> dict[str, str]:
    """Return variables by which a program has a clock that is so far ahead."""
    _skip_without_faketime()
    said = subprocess.run(
        ["faketime", "-f", "+0s", "sh", "-c", 'echo "$LD_PRELOAD"'],
        check=True,
        capture_output=True,
        text=True,
        timeout=10,
    )
    name, value = _KEEPS_COUNTING.split("=")
    return {"LD_PRELOAD": said.stdout.strip(), "FAKETIME": f"{ahead_s:+g}s", name: value}


def by_clock_of(told_in: Path) -> list[str]:
    """Return what to put before a command that is to have the clock that ``set_clock`` sets."""
    _skip_without_faketime()
    # Bash hides variables from the library until it is up; what the program makes is there.
    looks = [f"FAKETIME_TIMESTAMP_FILE={told_in}", "FAKETIME_NO_CACHE=1", _KEEPS_COUNTING]
    return ["faketime", "-f", "+0s", "env", "-u", "FAKETIME", *looks]


def set_clock(told_in: Path, ahead_s: float) -> None:
    """Set the clock of programs that look here, also while they run."""
    beside = told_in.with_suffix(".new")
    beside.write_text(f"{ahead_s:+g}s\n")
    beside.replace(told_in)


def _skip_without_faketime() -> None:
    if shutil.which("faketime") is None:
        pytest.skip("libfaketime is not installed (faketime): no program has another clock")
    _forget_the_dead()


def _forget_the_dead() -> None:
    """Remove what killed programs left: one with the number of theirs would not start."""
    for kind in ("faketime_shm_", "sem.faketime_sem_"):
        for left in _SHARED_MEMORY.glob(f"{kind}*"):
            if not Path("/proc", left.name.removeprefix(kind)).exists():
                left.unlink(missing_ok=True)
