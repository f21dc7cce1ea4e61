"""What all commands share: errors as exit codes, progress, results."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from pydantic import ValidationError
from rich.console import Console
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

from connectors.errors import Rejected, Unavailable
from optimizer import Breach, InvalidProblem, PlanRefused, Progress, baselines
from scheduler.cli import app as gridtide
from scheduler.cli import console, plan, solving
from scheduler.cli.console import ErrorsAsExitCodes, ExitCode, UserError, emit, solve_progress
from scheduler.files import BadFile
from scheduler.services.errors import Conflict
from scheduler.specs import FleetSpec
from tests.views.sample import FLEET, PROBLEM, sample_document


def _invalid_fleet() -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        FleetSpec.model_validate({"name": "a b", "sites": []})
    return caught.value


BREACH = Breach("site DE", "import_limit_kw", 3, 2.0, "kW")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UserError("no such plan", ("look again",)), ExitCode.INVALID, "look again"),
        (
            BadFile(Path("a.csv"), ["line 2: x"]),
            ExitCode.INVALID,
            "a.csv is not valid\n  line 2: x",
        ),
        (InvalidProblem("job a", "work", 0, "> 0"), ExitCode.INVALID, "job a: work = 0"),
        (PlanRefused((BREACH,)), ExitCode.REFUSED, str(BREACH)),
        (_invalid_fleet(), ExitCode.INVALID, "name: String should match"),
        (Conflict("is approved already"), ExitCode.INVALID, "is approved already"),
        (Rejected("unknown zone"), ExitCode.INVALID, "unknown zone"),
        (Unavailable("feed is down"), ExitCode.UNREACHABLE, "feed is down"),
        (OperationalError("", {}, OSError("refused")), ExitCode.UNREACHABLE, "the database cannot"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_expected_errors_become_a_line_and_an_exit_code(
    error: Exception, code: ExitCode, words: str
) -> None:
    """The person at the terminal reads what to put right; a script reads the code."""
    app = typer.Typer(cls=ErrorsAsExitCodes)
    app.callback()(lambda: None)

    @app.command()
    def fail() -> None:
        raise error

    result = CliRunner().invoke(app, ["fail"])
    assert result.exit_code == code
    assert words in result.stderr
    assert result.stderr.startswith("Error: ")


def test_a_defect_keeps_its_traceback() -> None:
    """What nobody expected is not dressed up as an error of the user."""
    app = typer.Typer(cls=ErrorsAsExitCodes)
    app.callback()(lambda: None)

    @app.command()
    def fail() -> None:
        raise ZeroDivisionError

    assert isinstance(CliRunner().invoke(app, ["fail"]).exception, ZeroDivisionError)


def test_results_in_json_know_instants_and_paths_and_refuse_the_rest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Instants are ISO, paths are text; an object without a form in JSON is a defect."""
    emit({"at": datetime(2021, 7, 5, tzinfo=UTC), "file": Path("out")}, "", as_json=True)
    assert capsys.readouterr().out == '{"at": "2021-07-05T00:00:00+00:00", "file": "out"}\n'
    with pytest.raises(TypeError, match="object has no JSON form"):
        emit(object(), "", as_json=True)


def test_progress_off_a_terminal_is_a_line_per_phase(capsys: pytest.CaptureFixture[str]) -> None:
    """A log gets each phase once, with what is known then."""
    with solve_progress(60) as show:
        show(Progress("greedy", 0.1, best=120.0))
        show(Progress("prove", 1.0, best=110.0, bound=99.0))
        show(Progress("prove", 2.0, best=100.0, bound=99.0))
    assert capsys.readouterr().err.splitlines() == [
        "placing jobs greedily · best 120.00 EUR ...",
        "solving and proving · best 110.00 EUR · bound 99.00 EUR · gap 10.00 % ...",
    ]


def test_progress_on_a_terminal_shows_bound_best_gap_and_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One moving line carries all four."""
    terminal = Console(file=sys.stderr, force_terminal=True, width=120, record=True)
    monkeypatch.setattr(console, "stderr", lambda: terminal)
    with console.working("Reading signals"), solve_progress(60) as show:
        pass
    with solve_progress(60) as show:
        show(Progress("prove", 1.0, best=110.0, bound=99.0))
    text = terminal.export_text()
    assert "solving and proving · best 110.00 EUR · bound 99.00 EUR · gap 10.00 %" in text
    assert "0:00:00" in text


def test_a_plan_that_verify_refuses_is_marked_and_has_its_own_exit_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is kept for a person to look at, and says on its first page not to use it."""
    doc = sample_document()
    monkeypatch.setattr(
        solving, "solve_in_doubt", lambda problem, *_, **__: baselines.run_now(problem)
    )
    monkeypatch.setattr(plan, "verify", lambda *_: (BREACH,))
    assembled = plan.Assembled(PROBLEM, doc.window, ("a mark",))
    outcome = plan.make_plan(FLEET, assembled, plan.SolveLimits())
    assert outcome.exit_code == ExitCode.REFUSED
    assert outcome.document.marks == (f"REFUSED by verify, do not use: {BREACH}", "a mark")


def test_version_and_unknown_commands() -> None:
    """The version is printed; a wrong command is wrong usage."""
    assert CliRunner().invoke(gridtide, ["--version"]).stdout.startswith("gridtide ")
    assert CliRunner().invoke(gridtide, ["nonsense"]).exit_code == ExitCode.INVALID
