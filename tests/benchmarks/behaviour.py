"""Functions for processes of their own, each with another way to end, or not to."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from benchmarks.apart import Tell, Unmeasurable


def double(tell: Tell, number: int) -> int:
    """Come to an end as it should."""
    tell("doubling")
    return 2 * number


def find_nothing(tell: Tell) -> None:
    """Say that there is nothing to measure."""
    raise Unmeasurable("no plan found")


def die(tell: Tell) -> None:
    """End without a word."""
    tell("dying")
    os._exit(3)


def sleep_with_child(tell: Tell) -> None:
    """Tell the id of a process it starts, and take too long beside it."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    tell(str(child.pid))
    time.sleep(60)


def hoard(tell: Tell) -> None:
    """Take more and more memory."""
    tell("hoarding")
    hoarded = []
    while True:
        hoarded.append(b"x" * 10_000_000)
        time.sleep(0.005)
