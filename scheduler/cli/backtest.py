"""``gridtide backtest``: history replayed under several policies, in tables and one page."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from scheduler.backtest.keeping import write_whole
from scheduler.cli.console import ExitCode, JsonOption, UserError, emit, stderr, working
from scheduler.policies import UnknownPolicy
from scheduler.sweep.cases import Case, cases_of
from scheduler.sweep.collecting import results_of, write_tables
from scheduler.sweep.days import shown_days
from scheduler.sweep.inputs import SweepInputs, read_inputs
from scheduler.sweep.playing import Progress, play_case, require_known
from scheduler.sweep.processes import Ended, Told, side_by_side_tasks
from scheduler.sweep.result import CaseResult
from scheduler.sweep.summing_up import summed_up
from scheduler.views.backtest_page import Backtest, backtest_page
from scheduler.views.backtest_text import backtest_text


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("backtest")(backtest)


def backtest(
    *,
    config: Annotated[
        Path | None, typer.Argument(help="What to replay, TOML.", exists=True, dir_okay=False)
    ] = None,
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Folder to write to; goes on where it was.")
    ] = Path("out/backtest"),
    processes: Annotated[
        int, typer.Option(min=1, max=256, help="Cases that are played at once.")
    ] = 2,
    report: Annotated[
        bool, typer.Option("--report", help="Play nothing; tell what is there.")
    ] = False,
    example: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Write an example of a backtest there, and stop."),
    ] = None,
    examples: Annotated[
        Path, typer.Option(file_okay=False, help="Folder with the example's backtest.py.")
    ] = Path("examples"),
    as_json: JsonOption = False,
) -> None:
    """Replay history under every policy, region and seed of CONFIG, and write what came of it.

    What plans, dispatches and settles is what does so in earnest. Interrupted or killed, the same
    command goes on from the last day kept. Writes jobs, slots and plans as Parquet, and a page.
    """
    if example is not None:
        _write_example(example, examples)
        return
    if config is None:
        raise UserError("CONFIG is missing: gridtide backtest backtest.toml, or --example FOLDER")
    with working("Reading the backtest"):
        inputs = _read(config)
        cases = cases_of(inputs, out)
    problems: dict[str, str] = {}
    if not report:
        try:
            problems = _play(inputs, [case for case in cases if not case.is_done], processes)
        except KeyboardInterrupt:
            raise UserError(
                "interrupted; the same command goes on from the last day kept",
                code=ExitCode.INTERRUPTED,
            ) from None
    _tell(inputs, cases, out, problems, as_json)


def _read(config: Path) -> SweepInputs:
    inputs = read_inputs(config)
    sys.path.insert(0, str(Path.cwd()))  # where a policy of one's own may be
    try:
        for policy in inputs.spec.policies:
            require_known(policy)
    except UnknownPolicy as error:
        raise UserError(str(error)) from error
    return inputs


def _write_example(folder: Path, examples: Path) -> None:
    script = examples / "backtest.py"
    if not script.is_file():
        raise UserError(f"{script} is missing: run this in a clone of the repository")
    ended = subprocess.run(
        [sys.executable, str(script), "--out", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if ended.returncode != 0:
        raise UserError(f"{script} failed", tuple(ended.stderr.splitlines()[-5:]))
    typer.echo(f"Written. Play it with: gridtide backtest {folder / 'backtest.toml'}")


def _play(inputs: SweepInputs, cases: Sequence[Case], processes: int) -> dict[str, str]:
    """Play what is left; return what went wrong, by case."""
    arguments = {case.label: (inputs, case) for case in cases}
    problems = {}
    with _progress() as show:
        for event in side_by_side_tasks(play_case, arguments, processes):
            show(event)
            if isinstance(event, Ended) and event.problem:
                problems[event.key] = event.problem
    return problems


@dataclass(slots=True)
class _Lines:
    """Progress where there is no terminal: a line for each tenth of a case."""

    tenths: dict[str, int] = field(default_factory=dict)

    def __call__(self, event: Told | Ended) -> None:
        if isinstance(event, Ended):
            _line(f"{event.key}: {event.problem or 'done'}")
            return
        progress: Progress = event.message
        tenth = 10 * progress.n_rounds // progress.n_all
        if self.tenths.get(event.key) != tenth:
            self.tenths[event.key] = tenth
            _line(f"{event.key}: {_words(progress)}")


@dataclass(slots=True)
class _Bars:
    """Progress on a terminal: a bar for each case under way, and one for all."""

    bar: Bar
    tasks: dict[str, TaskID] = field(default_factory=dict)

    def __call__(self, event: Told | Ended) -> None:
        if event.key not in self.tasks:
            self.tasks[event.key] = self.bar.add_task(event.key, total=1.0, words="")
        task = self.tasks[event.key]
        if isinstance(event, Ended):
            self.bar.remove_task(task)
            self.bar.console.print(
                f"{event.key}: {event.problem or 'done'}", markup=False, highlight=False
            )
            return
        progress: Progress = event.message
        share = progress.n_rounds / progress.n_all
        self.bar.update(task, completed=share, words=_words(progress))


@contextmanager
def _progress() -> Iterator[_Lines | _Bars]:
    console = stderr()
    if not console.is_terminal:
        yield _Lines()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(20),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}"),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        yield _Bars(bar)


def _words(progress: Progress) -> str:
    return (
        f"{progress.now:%Y-%m-%d}, plan {progress.n_rounds} of {progress.n_all},"
        f" {progress.n_open} jobs open"
    )


def _line(text: str) -> None:
    stderr().print(text, markup=False, highlight=False, soft_wrap=True)


def _tell(
    inputs: SweepInputs,
    cases: Sequence[Case],
    out: Path,
    problems: Mapping[str, str],
    as_json: bool,
) -> None:
    results = results_of(cases)
    missing = len(cases) - len(results)
    files: dict[str, Path] = {}
    text = "Nothing yet."
    if results:
        with working("Writing tables and the report"):
            lines = summed_up(inputs.spec, cases, results)
            files = write_tables(cases, out)
            days_of, days = shown_days(inputs.spec, cases, results)
            page = backtest_page(Backtest(inputs.spec, lines, results, days_of, days, missing))
            files["report"] = out / "report.html"
            write_whole(files["report"], lambda beside: beside.write_text(page, encoding="utf-8"))
        written = "".join(f"\n  {path}" for path in files.values())
        text = f"{backtest_text(lines, inputs.spec.baseline)}\nWritten:{written}"
    emit(_as_data(results, missing, problems, files), text, as_json)
    if problems:
        details = tuple(f"{key}: {problem}" for key, problem in problems.items())
        raise UserError(f"{len(problems)} of {len(cases)} cases failed", details)
    if any(not result.is_sound for result in results):
        raise typer.Exit(ExitCode.REFUSED)


def _as_data(
    results: Sequence[CaseResult],
    missing: int,
    problems: Mapping[str, str],
    files: Mapping[str, Path],
) -> dict[str, object]:
    keys = (
        "region",
        "seed",
        "policy",
        "n_jobs",
        "cost_eur",
        "carbon_kg",
        "used_kwh",
        "wait_mean_h",
        "wait_p95_h",
        "n_late",
        "worst_error",
    )
    return {
        "cases": [
            {name: getattr(result, name) for name in keys}
            | {"n_not_done": len(result.not_done), "n_breaches": len(result.breaches)}
            for result in results
        ],
        "n_missing": missing,
        "problems": dict(problems),
        "files": dict(files),
    }
