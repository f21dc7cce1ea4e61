"""One solve in a child process, which can be watched, and killed at any instant.

The child is spawned, not forked: it shares nothing with its parent but a pipe. It ends by itself
when the pipe breaks, so a parent that is killed leaves no solver behind.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self, cast

from optimizer import (
    OnProgress,
    Plan,
    Problem,
    Progress,
    SolveLimits,
    baselines,
    greedy,
    with_marginal_energy,
)
from scheduler.doubt import NO_DOUBT, Doubt, solve_in_doubt
from scheduler.side_by_side import HERE, SearchPlace, side_by_side

_KILL_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class SolveTask:
    """What a child is given.

    ``last_plan`` is the plan in force told in the slots of the problem, which it need not hold for
    any more; ``place`` is where the search is done; ``doubt`` is how the forecasts may turn out.
    """

    problem: Problem
    limits: SolveLimits
    last_plan: Plan | None = None
    place: SearchPlace = HERE
    doubt: Doubt = NO_DOUBT


@dataclass(frozen=True, slots=True)
class Solved:
    """What a child answers: the plan, and the run-now baseline of the same problem."""

    plan: Plan
    baseline: Plan


Method = Callable[[SolveTask, OnProgress], Plan]
"""A module-level function, since the child finds it by name."""


class ChildFailed(Exception):
    """The child ended without an answer: it crashed, ran out of memory, or was killed."""


def solve_exactly(task: SolveTask, on_progress: OnProgress) -> Plan:
    """Solve as well as the limits allow."""
    with side_by_side(task.place) as beside:
        return solve_in_doubt(
            task.problem,
            task.limits,
            task.doubt,
            last_plan=task.last_plan,
            on_progress=on_progress,
            clock=time.monotonic,
            side_by_side=beside,
        )


def solve_greedily(task: SolveTask, on_progress: OnProgress) -> Plan:
    """Give a plan without a solver, for when the solver brought its process down."""
    on_progress(Progress("greedy", 0.0))
    return greedy(task.problem)


class SolverProcess:
    """A running child. Leaving the ``with`` block kills it if it still runs."""

    def __init__(self, task: SolveTask, method: Method = solve_exactly) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far_end = context.Pipe()
        self._process = context.Process(
            target=_child_main, args=(far_end, method), name="gridtide-solver"
        )
        self._process.start()
        # Only the child may hold its end, or its death would not break the pipe.
        far_end.close()
        try:
            # Not as an argument: what starts a process waits for ever where a child dies before it
            # has read more of those than a pipe holds.
            self._pipe.send(task)
        except OSError as error:
            raise self._ended() from error

    @property
    def pid(self) -> int | None:
        """Number of the process."""
        return self._process.pid

    def receive(self, timeout_s: float) -> Progress | Solved | None:
        """Wait for the next message; ``None`` where none came in time.

        Raises
        ------
        ChildFailed
            The child ended, or raised; the text says how.
        """
        try:
            if not self._pipe.poll(timeout_s):
                return None
            message = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self._ended() from error
        if isinstance(message, str):
            raise ChildFailed(message)
        return cast("Progress | Solved", message)

    def kill(self) -> None:
        """End the child at once."""
        self._process.kill()
        self._process.join(_KILL_WAIT_S)
        self._pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def _ended(self) -> ChildFailed:
        self._process.join(_KILL_WAIT_S)
        return ChildFailed(f"the solver's process ended with {self._ending()}")

    def _ending(self) -> str:
        code = self._process.exitcode
        if code is not None and code < 0:
            return f"signal {signal.Signals(-code).name}"
        return f"exit code {code}"


def _child_main(pipe: Connection, method: Method) -> None:
    # Ctrl-C goes to the whole terminal; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        task = cast("SolveTask", pipe.recv())
    except (EOFError, OSError):
        os._exit(1)
    threading.Thread(target=_exit_with_parent, args=(pipe,), daemon=True).start()
    try:
        plan = method(task, lambda progress: _report(pipe, progress))
        plan = with_marginal_energy(task.problem, plan)
        answer: Solved | str = Solved(plan, baselines.run_now(task.problem))
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        answer = f"the solver failed: {type(error).__name__}: {error}"
    pipe.send(answer)


def _report(pipe: Connection, progress: Progress) -> bool:
    pipe.send(progress)
    return True


def _exit_with_parent(pipe: Connection) -> None:
    # The parent sends the task alone: this returns only when the pipe breaks.
    try:
        pipe.recv()
    except (EOFError, OSError):
        os._exit(1)
