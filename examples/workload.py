"""A stand-in for a training run, for the local cluster: ``workload.py SECONDS [--step SECONDS]``.

It works in small steps and does what a well-behaved job does: it saves its progress every tenth
of the way and when it is told to stop, and goes on from there; it follows a power cap that changes
while it runs by working slower; and it says what it does. Standard library only.

Environment, all of it optional:

GRIDTIDE_CHECKPOINT_DIR   where progress is kept; without it a stop loses what was done
GRIDTIDE_POWER_CAP_FILE   holds the cap in force [W per GPU], or nothing
GRIDTIDE_JOB_KEY          printed
CUDA_VISIBLE_DEVICES      printed
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

FULL_POWER_W = 700.0
SPEED_EXPONENT = 0.25  # half the power gives 84 % of the speed
TOLD_TO_STOP = 143  # as shells report SIGTERM


class Stop:
    """Whether SIGTERM has come; the step in hand is finished first."""

    def __init__(self) -> None:
        self.is_wanted = False
        signal.signal(signal.SIGTERM, self._note)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.is_wanted = True


def checkpoint_file() -> Path | None:
    """Return where progress is kept."""
    folder = os.environ.get("GRIDTIDE_CHECKPOINT_DIR")
    return Path(folder) / "progress.json" if folder else None


def load_done_s(file: Path | None) -> float:
    """Read the work already done [s at full speed]."""
    if file is None or not file.exists():
        return 0.0
    return float(json.loads(file.read_text())["done_s"])


def save_done_s(file: Path | None, done_s: float) -> None:
    """Keep the work done, whole or not at all."""
    if file is None:
        return
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps({"done_s": done_s}))
    beside.replace(file)


def speed() -> float:
    """Work per second under the cap in force, 1 without one."""
    file = os.environ.get("GRIDTIDE_POWER_CAP_FILE")
    text = Path(file).read_text().strip() if file and Path(file).exists() else ""
    if not text:
        return 1.0
    return float(min(1.0, float(text) / FULL_POWER_W) ** SPEED_EXPONENT)


def say(text: str) -> None:
    """Write one line to the log at once."""
    print(text, flush=True)


def work(total_s: float, step_s: float) -> int:
    """Do the work; return the exit code."""
    stop = Stop()
    file = checkpoint_file()
    done_s = load_done_s(file)
    key = os.environ.get("GRIDTIDE_JOB_KEY", "-")
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    say(f"job {key} on GPUs [{gpus}]: {'goes on at' if done_s else 'starts at'} {done_s:.2f} s")
    said_tenths = int(10 * done_s / total_s)
    while done_s < total_s:
        if stop.is_wanted:
            save_done_s(file, done_s)
            say(f"stopped at {done_s:.2f} of {total_s:.2f} s")
            return TOLD_TO_STOP
        pace = speed()
        step = min(step_s, total_s - done_s)
        time.sleep(step / pace)
        done_s += step
        tenths = int(10 * done_s / total_s)
        if tenths > said_tenths:
            said_tenths = tenths
            save_done_s(file, done_s)
            say(f"{10 * tenths} % done at {100 * pace:.0f} % speed")
    say("finished")
    return 0


def main() -> int:
    """Read the arguments and work."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("seconds", type=float, help="work in all, in seconds at full power")
    parser.add_argument("--step", type=float, default=0.05, help="work between two looks [s]")
    arguments = parser.parse_args()
    if arguments.seconds <= 0 or arguments.step <= 0:
        parser.error(f"seconds = {arguments.seconds}, step = {arguments.step}: must both be > 0")
    return work(arguments.seconds, arguments.step)


if __name__ == "__main__":
    sys.exit(main())
