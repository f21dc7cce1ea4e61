"""What every command shares: results, progress, errors and exit codes.

Results go to stdout (as JSON with ``--json``), progress and errors to stderr.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from sqlalchemy.exc import InterfaceError, OperationalError
from typer.core import TyperGroup

from connectors.errors import ConnectorError, Unavailable
from optimizer import InvalidProblem, PlanRefused, Progress
from scheduler.files import BadFile
from scheduler.services.assemble import InputRefused
from scheduler.services.errors import ServiceError


class ExitCode(IntEnum):
    """What a command's exit code means."""

    OK = 0
    UNEXPECTED = 1
    INVALID = 2
    MISSED = 3
    REFUSED = 4
    UNREACHABLE = 5
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """In words, for the help."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.UNEXPECTED: "unexpected error, a defect worth reporting",
    ExitCode.INVALID: "wrong usage or invalid input",
    ExitCode.MISSED: "the plan is written, but misses an obligation or leaves out a job",
    ExitCode.REFUSED: "verify refused the plan: do not use it",
    ExitCode.UNREACHABLE: "the database or a server cannot be reached",
    ExitCode.INTERRUPTED: "interrupted; what was found until then is kept",
}


class UserError(Exception):
    """Something the user can put right. ``details`` are shown one per line."""

    def __init__(
        self, message: str, details: tuple[str, ...] = (), code: ExitCode = ExitCode.INVALID
    ) -> None:
        super().__init__(message)
        self.message, self.details, self.code = message, details, code


class ErrorsAsExitCodes(TyperGroup):
    """A group of commands in which expected errors are a line on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error nobody expected keeps its traceback."""
        try:
            return super().invoke(ctx)
        except (
            UserError,
            BadFile,
            InvalidProblem,
            PlanRefused,
            ValidationError,
            ServiceError,
            InputRefused,
            ConnectorError,
            OperationalError,
            InterfaceError,
        ) as error:
            failure = as_user_error(error)
        print_error(failure)
        raise typer.Exit(failure.code)


def as_user_error(error: Exception) -> UserError:
    """Say what an expected error means to the person at the terminal."""
    message, code = str(error), ExitCode.INVALID
    details: tuple[str, ...] = ()
    match error:
        case UserError():
            return error
        case BadFile():
            message, details = f"{error.path} is not valid", error.problems
        case PlanRefused():
            message, code = "verify refused the plan", ExitCode.REFUSED
            details = tuple(str(breach) for breach in error.breaches)
        case ValidationError():
            message = "invalid input"
            details = tuple(
                f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
                for problem in error.errors()
            )
        case Unavailable():
            code = ExitCode.UNREACHABLE
        case OperationalError() | InterfaceError():
            message, code = f"the database cannot be used: {error.orig}", ExitCode.UNREACHABLE
    return UserError(message, details, code)


def print_error(error: UserError) -> None:
    """Write an error to stderr, each detail on its own line."""
    console = stderr()
    console.print("Error:", style="bold red", end=" ")
    console.print(error.message, markup=False, highlight=False, soft_wrap=True)
    for detail in error.details:
        console.print(f"  {detail}", markup=False, highlight=False, soft_wrap=True)


def exit_code_help() -> str:
    """List the exit codes, for the end of the help."""
    return "Exit codes: " + "; ".join(f"{code.value} {code.meaning}" for code in ExitCode) + "."


JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]

NoteOption = Annotated[str, typer.Option(help="Why; kept with the decision.")]


def parse_instant(text: str) -> datetime:
    """Read an instant with its offset, such as 2021-07-05T00:00Z."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not an instant like 2021-07-05T00:00Z") from error
    if instant.utcoffset() is None:
        raise typer.BadParameter(f"{text!r} has no offset; write {text}Z for UTC")
    return instant.astimezone(UTC)


def input_file(help_text: str) -> Any:
    """Declare an option that names a file to read."""
    return typer.Option(help=help_text, exists=True, dir_okay=False, readable=True)


def stdout() -> Console:
    """Console for results; made when used, so that a redirected stream is honoured."""
    return Console()


def stderr() -> Console:
    """Console for progress and errors."""
    return Console(stderr=True)


def emit(data: object, text: str, as_json: bool) -> None:
    """Print a result: ``data`` as one JSON document, or ``text`` for people."""
    if as_json:
        typer.echo(json.dumps(data, default=_jsonable, ensure_ascii=False, allow_nan=False))
    else:
        typer.echo(text)


def _jsonable(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


@contextmanager
def working(text: str) -> Iterator[None]:
    """Show a spinner on stderr while something takes its time."""
    console = stderr()
    if console.is_terminal:
        with console.status(text):
            yield
    else:
        console.print(f"{text} ...", markup=False, highlight=False)
        yield


@contextmanager
def solve_progress(time_limit_s: float) -> Iterator[Callable[[Progress], None]]:
    """Show how a solve goes; yields a function to feed with ``optimizer.Progress``.

    On a terminal this is a bar that fills up to the time limit; otherwise a line per phase.
    """
    console = stderr()
    if not console.is_terminal:
        seen: set[str] = set()

        def write_phase(progress: Progress) -> None:
            if progress.phase not in seen:
                seen.add(progress.phase)
                console.print(f"{progress_words(progress)} ...", markup=False, highlight=False)

        yield write_phase
        return
    columns = (
        SpinnerColumn(),
        BarColumn(20),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=time_limit_s)
        yield lambda progress: bar.update(
            task, completed=progress.seconds, description=progress_words(progress)
        )


PHASE_WORDS = {
    "greedy": "placing jobs greedily",
    "build": "building the model",
    "relax": "solving the relaxation",
    "price": "pricing GPUs and energy",
    "insert": "putting jobs where they cost least",
    "columns": "proving the bound",
    "flows": "settling energy flows",
    "search": "searching for better plans",
    "prove": "solving and proving",
}


def progress_words(progress: Progress) -> str:
    """Phase, best objective, bound and gap in one line."""
    parts = [PHASE_WORDS.get(progress.phase, progress.phase)]
    if progress.best is not None:
        parts.append(f"best {progress.best:,.2f} EUR")
    if progress.bound is not None:
        parts.append(f"bound {progress.bound:,.2f} EUR")
    if progress.gap is not None:
        parts.append(f"gap {100 * progress.gap:.2f} %")
    return " \u00b7 ".join(parts)
