"""The solver's process: whatever becomes of it, its parent hears of it."""

from __future__ import annotations

import multiprocessing.spawn
import sys
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker

import pytest

from benchmarks.instances import reference
from optimizer import SolveLimits
from scheduler.solving import ChildFailed, SolverProcess, SolveTask


@pytest.fixture
def no_python() -> Iterator[None]:
    """A machine on which a child ends before it has read a thing."""
    resource_tracker.ensure_running()  # it is a child as well
    multiprocessing.spawn.set_executable("/bin/false")
    yield
    multiprocessing.spawn.set_executable(sys.executable)


def test_a_child_that_dies_as_it_starts_is_told(no_python: None) -> None:
    """Its task is larger than what a pipe holds, and nobody reads it."""
    task = SolveTask(reference("M"), SolveLimits(5.0))
    heard: list[BaseException] = []

    def solve() -> None:
        try:
            with SolverProcess(task) as child:
                while child.receive(1.0) is None:
                    pass
        except ChildFailed as error:
            heard.append(error)

    parent = threading.Thread(target=solve, daemon=True)
    parent.start()
    parent.join(30)
    assert [str(error) for error in heard] == ["the solver's process ended with exit code 1"]
