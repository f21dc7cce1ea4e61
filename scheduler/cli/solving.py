"""A solve that a person can watch and interrupt.

The solve runs in a thread beside the one that Ctrl-C interrupts: HiGHS holds its thread for long
stretches, in which Python could not even note the signal. The first Ctrl-C asks for the best plan
found so far; the second gives up at once.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import FrameType

from optimizer import Plan, Problem, Progress, SolveLimits, with_marginal_energy
from scheduler.cli.console import ExitCode, solve_progress, stderr
from scheduler.doubt import NO_DOUBT, Doubt, solve_in_doubt
from scheduler.side_by_side import HERE, SearchPlace, side_by_side

POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Solved:
    """A plan, and whether the user stopped the solve."""

    plan: Plan
    is_interrupted: bool


def solve_watched(
    problem: Problem,
    limits: SolveLimits,
    place: SearchPlace = HERE,
    doubt: Doubt = NO_DOUBT,
) -> Solved:
    """Solve ``problem`` with progress on stderr; Ctrl-C ends it with the best plan found.

    ``place`` is where a search is done, ``doubt`` how the forecasts may turn out.
    """
    stop = threading.Event()
    with solve_progress(limits.time_limit_s) as show:

        def on_progress(progress: Progress) -> bool:
            show(progress)
            return not stop.is_set()

        before = signal.signal(signal.SIGINT, _stop_or_leave(stop))
        try:
            with side_by_side(place) as beside, ThreadPoolExecutor(max_workers=1) as pool:
                answer = pool.submit(
                    solve_in_doubt,
                    problem,
                    limits,
                    doubt,
                    on_progress=on_progress,
                    clock=time.monotonic,
                    side_by_side=beside,
                )
                # A wait without a timeout would hold back the signal until the solve ends.
                while wait((answer,), timeout=POLL_S).not_done:
                    pass
        finally:
            signal.signal(signal.SIGINT, before)
    return Solved(with_marginal_energy(problem, answer.result()), stop.is_set())


def _stop_or_leave(stop: threading.Event) -> Callable[[int, FrameType | None], None]:
    def handle(_signal: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(ExitCode.INTERRUPTED)
        stop.set()
        stderr().print("Stopping with the best plan found so far; Ctrl-C again to leave at once.")

    return handle
