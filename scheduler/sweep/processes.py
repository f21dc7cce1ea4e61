"""Tasks beside each other, a process for each: what one does or dies of is no other's.

A process that is ended in the middle loses nothing that was kept: the tasks here keep what they did
in files that are replaced whole.
"""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from scheduler.side_by_side import begin_worker

Tell = Callable[[object], None]
"""Tells the parent something: any value that can be pickled."""

Task = Callable[..., None]
"""What a process does: called with ``Tell`` and its arguments."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the task ``key`` told on its way."""

    key: str
    message: Any


@dataclass(frozen=True, slots=True)
class Ended:
    """The task ``key`` is over; ``problem``: what it failed of, empty where it did not."""

    key: str
    problem: str


@dataclass(frozen=True, slots=True)
class _Failed:
    problem: str


def side_by_side_tasks(
    task: Task, arguments: Mapping[str, tuple[Any, ...]], n_processes: int
) -> Iterator[Told | Ended]:
    """Do ``task`` for every entry of ``arguments``, at most so many at once; tell what comes.

    Whoever stops listening (an interrupt, say) ends all that is under way.
    """
    waiting = list(arguments.items())
    running: dict[Connection, tuple[str, SpawnProcess]] = {}
    with _ended_with_us(running):
        while waiting or running:
            while waiting and len(running) < n_processes:
                key, its = waiting.pop(0)
                connection, process = _start(task, its)
                running[connection] = key, process
            for ready in wait(list(running)):
                if isinstance(ready, Connection):
                    yield from _heard(ready, running)


def _start(task: Task, arguments: tuple[Any, ...]) -> tuple[Connection, SpawnProcess]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_do, args=(theirs, task, arguments), daemon=True)
    process.start()
    theirs.close()
    return ours, process


def _heard(
    connection: Connection, running: dict[Connection, tuple[str, SpawnProcess]]
) -> Iterator[Told | Ended]:
    key, process = running[connection]
    problem = ""
    try:
        message = connection.recv()
    except EOFError:
        process.join()
        if process.exitcode:
            problem = f"its process ended with exit code {process.exitcode}"
    else:
        if not isinstance(message, _Failed):
            yield Told(key, message)
            return
        problem = message.problem
        process.join()
    del running[connection]
    connection.close()
    yield Ended(key, problem)


@contextmanager
def _ended_with_us(running: Mapping[Connection, tuple[str, SpawnProcess]]) -> Iterator[None]:
    try:
        yield
    finally:
        processes = [process for _, process in running.values()]
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _do(connection: Connection, task: Task, arguments: tuple[Any, ...]) -> None:
    begin_worker()
    try:
        task(connection.send, *arguments)
    except Exception as error:  # noqa: BLE001 - told to the parent, which says of which task
        if not isinstance(error, ValueError):  # a defect, not an input that is refused
            traceback.print_exc()
        connection.send(_Failed(f"{type(error).__name__}: {error}"))
    connection.close()
