"""What another benchmark prints, taken as its result."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.apart import ROOT, Tell, Unmeasurable

KINDS = ("plan:", "explanation:", "quote:")
"""How lines begin that are figures; a server's log may stand between them."""


def lines(tell: Tell, module: str, time_limit_s: float) -> tuple[str, ...]:
    """Run ``benchmarks.<module>`` with a solver's time limit, and return its lines of figures.

    Raises
    ------
    Unmeasurable
        It failed.
    """
    words = [sys.executable, "-m", f"benchmarks.{module}", "--time-limit", str(time_limit_s)]
    tell(" ".join(words[2:]))
    ended = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode != 0:
        raise Unmeasurable(f"benchmarks.{module} ended with {ended.returncode}")
    return tuple(line for line in ended.stdout.splitlines() if line.startswith(KINDS))
