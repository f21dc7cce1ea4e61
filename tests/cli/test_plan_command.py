"""``gridtide plan``, ``verify`` and ``compare`` as a person runs them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from optimizer import Plan, Problem, SolveLimits, baselines
from scheduler.cli import app
from scheduler.cli import solving as cli_solving
from scheduler.cli.console import ExitCode
from scheduler.files import read_plan

FLEET = """
[planning]
slot_minutes = 60

[[sites]]
name = "DE"
time_zone = "Europe/Berlin"
grid = { import_limit_kw = 100 }
pools = [{ name = "a100", gpus = 8 }]
"""
PRICES = (90, 80, 10, 20, 70, 60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Input files: one site, six hours, two jobs."""
    (tmp_path / "fleet.toml").write_text(FLEET)
    rows = [
        f"DE,{kind},2021-07-05T{hour:02d}:00Z,60,{value}"
        for hour, price in enumerate(PRICES)
        for kind, value in (("price", price), ("carbon_intensity", 300))
    ]
    header = "site,kind,start_at,minutes,value"
    (tmp_path / "signals.csv").write_text("\n".join([header, *rows]) + "\n")
    _write_jobs(tmp_path, "train,2,a100,4,3", "batch,1,a100,8,6")
    return tmp_path


def _write_jobs(folder: Path, *rows: str) -> None:
    header = "name,work_hours,pool,gpus,kw,release_at,deadline_at"
    window = "2021-07-05T00:00Z,2021-07-05T06:00Z"
    lines = [header, *(f"{row},{window}" for row in rows)]
    (folder / "jobs.csv").write_text("\n".join(lines) + "\n")


def _arguments(folder: Path, *more: str) -> list[str]:
    files = [
        f"--{name}={folder / file}"
        for name, file in (
            ("fleet", "fleet.toml"),
            ("signals", "signals.csv"),
            ("jobs", "jobs.csv"),
        )
    ]
    window = ["--start=2021-07-05T00:00Z", "--hours=6"]
    return ["plan", *files, *window, f"--out={folder / 'out'}", *more]


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_plan_writes_a_folder_and_prints_the_summary(folder: Path) -> None:
    """Files in, a verified plan at the cheapest hours out."""
    result = _run(*_arguments(folder))
    assert result.exit_code == ExitCode.OK
    placed = read_plan(folder / "out").plan.placement("train")
    assert placed is not None
    assert placed.start_slot in {2, 3}
    assert "Served     2 of 2 jobs" in result.stdout
    assert "building the model" in result.stderr
    assert {path.name for path in (folder / "out").iterdir()} == {
        "plan.json",
        "plan.html",
        "summary.txt",
        "energy.csv",
        "prices.csv",
        "jobs.csv",
        "chart.svg",
    }


def test_a_plan_on_disk_has_the_prices_of_energy_and_gpus(folder: Path) -> None:
    """By the meter and by the GPU, made by the process that solved it."""
    result = _run(*_arguments(folder))
    assert result.exit_code == ExitCode.OK, result.output
    prices = pd.read_csv(folder / "out" / "prices.csv")
    assert len(prices) == 6 * prices["site"].nunique()
    for column in ("marginal_eur_per_kwh", "marginal_carbon_g_per_kwh", "it_eur_per_kwh"):
        assert prices[column].notna().all()
    assert prices["eur_per_gpu_hour_a100"].notna().any()
    assert read_plan(folder / "out").plan.marginal is not None


def test_a_job_cut_at_the_end_of_the_window_is_named_in_the_document(folder: Path) -> None:
    """Eight hours of work due three hours after a window of six: dispatch must not call it done."""
    header = "name,work_hours,pool,gpus,kw,release_at,deadline_at\n"
    job = "train,8,a100,4,3,2021-07-05T00:00Z,2021-07-05T09:00Z\n"
    (folder / "jobs.csv").write_text(header + job)
    _run(*_arguments(folder))
    assert read_plan(folder / "out").cut_jobs == ("train",)


def test_json_output_is_one_document_and_nothing_else_on_stdout(folder: Path) -> None:
    """Scripts can parse what they get; progress goes to stderr."""
    data = json.loads(_run(*_arguments(folder, "--json")).stdout)
    assert data["totals"]["served"] == {"unit": "jobs", "plan": 2, "run_now": 2}
    assert data["totals"]["money_eur"]["plan"] < data["totals"]["money_eur"]["run_now"]
    assert data["breaches"] == []
    assert data["gap"] < 0.01


def test_an_unserved_job_is_an_exit_code_of_its_own(folder: Path) -> None:
    """The plan is written, and a script still learns that something is left out."""
    _write_jobs(folder, "train,2,a100,4,3", "long,6,a100,8,6")
    result = _run(*_arguments(folder))
    assert result.exit_code == ExitCode.MISSED
    assert (folder / "out" / "plan.json").exists()
    assert "is not served" in result.stdout


def test_invalid_files_are_told_with_line_and_value_and_no_traceback(folder: Path) -> None:
    """Every error of the file is on stderr, and nothing on stdout."""
    _write_jobs(folder, "train,0,a100,4,3", "batch,1,a100,-8,6")
    result = _run(*_arguments(folder))
    assert result.exit_code == ExitCode.INVALID
    assert "line 2: work_hours = '0': input should be greater than 0" in result.stderr
    assert "line 3: gpus = '-8'" in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--start=2021-07-05T00:00", "has no offset"),
        ("--start=tomorrow", "is not an instant"),
        ("--start=2021-07-05T00:20Z", "multiple of 60"),
        ("--slot-minutes=7", "slot_minutes = 7"),
        ("--gap=2", "less than or equal to 1"),
        ("--fleet=nowhere.toml", "does not exist"),
    ],
)
def test_wrong_options_are_exit_code_2(folder: Path, option: str, words: str) -> None:
    """What is wrong with the option is said in one place."""
    result = _run(*_arguments(folder, option))
    assert result.exit_code == ExitCode.INVALID
    assert words in " ".join(re.sub(r"[│╭╮╰╯─]", " ", result.stderr).split())


def test_missing_signals_are_an_error_of_the_input(folder: Path) -> None:
    """A price that no earlier day can stand in for is refused by name."""
    text = (folder / "signals.csv").read_text()
    kept = [line for line in text.splitlines() if "price,2021-07-05T04" not in line]
    (folder / "signals.csv").write_text("\n".join(kept) + "\n")
    result = _run(*_arguments(folder))
    assert result.exit_code == ExitCode.INVALID
    assert "DE" in result.stderr
    assert "price" in result.stderr


def test_verify_accepts_a_plan_and_refuses_a_forged_one(folder: Path) -> None:
    """A cheaper objective written into the file does not pass."""
    _run(*_arguments(folder))
    accepted = _run("verify", str(folder / "out"))
    assert accepted.exit_code == ExitCode.OK
    assert "accepted" in accepted.stdout
    path = folder / "out" / "plan.json"
    forged = json.loads(path.read_text())
    forged["plan"]["objective"] -= 1.0
    path.write_text(json.dumps(forged))
    refused = _run("verify", str(path), "--json")
    assert refused.exit_code == ExitCode.REFUSED
    assert json.loads(refused.stdout)["is_accepted"] is False
    assert json.loads(refused.stdout)["breaches"]


def test_compare_names_the_jobs_that_moved(folder: Path) -> None:
    """Prices turned round move the jobs."""
    _run(*_arguments(folder))
    first = (folder / "out").rename(folder / "first")
    text = (folder / "signals.csv").read_text()
    (folder / "signals.csv").write_text(
        text.replace(",60,10\n", ",60,99\n").replace(",60,20\n", ",60,99\n")
    )
    _run(*_arguments(folder))
    result = _run("compare", str(first), str(folder / "out"), "--json")
    changes = json.loads(result.stdout)["changes"]
    assert "batch" in {change["job"] for change in changes if change["kind"] == "moved"}
    assert "Jobs that changed" in _run("compare", str(first), str(folder / "out")).stdout


def test_explain_says_why_and_what_else_there_is(folder: Path) -> None:
    """The reason in words, and a hint where the name is nearly right."""
    _run(*_arguments(folder))
    data = json.loads(_run("explain", str(folder / "out"), "train", "--json").stdout)
    assert data["reason"].startswith("train runs at DE from Mon 5 Jul 0")
    assert "CEST" in _run("explain", str(folder / "out"), "train").stdout
    unknown = _run("explain", str(folder / "out"), "trian")
    assert unknown.exit_code == ExitCode.INVALID
    assert "no job 'trian'; did you mean train?" in unknown.stderr


def test_help_lists_commands_and_exit_codes() -> None:
    """Exit codes are documented where a user looks for them."""
    text = " ".join(_run("--help").stdout.split())
    for code in ExitCode:
        assert f"{code.value} {code.meaning}" in text
    assert "plan Plan jobs over a window" in text


def _plan_once_stopped(
    problem: Problem, limits: SolveLimits, *, on_progress: object, **_: object
) -> Plan:
    """Stand in for a long solve: ends when it is told to, like HiGHS does."""
    from optimizer import Progress  # noqa: PLC0415 - also runs in a child process

    assert callable(on_progress)
    deadline = time.monotonic() + limits.time_limit_s
    while time.monotonic() < deadline:
        if not on_progress(Progress("prove", 0.0)):
            break
        time.sleep(0.02)
    return baselines.run_now(problem)


LONG_SOLVE = """
import sys
from scheduler.cli import main
from scheduler.cli import solving
from tests.cli.test_plan_command import _plan_once_stopped
solving.solve = _plan_once_stopped
sys.argv = ["gridtide", *sys.argv[1:]]
main()
"""


def test_ctrl_c_stops_the_solve_and_writes_the_plan_found_so_far(folder: Path) -> None:
    """One interrupt: exit code 130, a whole folder, and a mark that says so."""
    arguments = _arguments(folder, "--time-limit=60")
    with subprocess.Popen(
        [sys.executable, "-c", LONG_SOLVE, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("solving"):
                break
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "Traceback" not in stderr
    assert "Stopping with the best plan found so far" in stderr
    marks = read_plan(folder / "out").marks
    assert any("the solve was interrupted" in mark for mark in marks)
    assert "the solve was interrupted" in stdout


def test_the_handler_of_interrupts_is_put_back_after_a_solve(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that goes on after its solve can be interrupted as before."""
    run_now = lambda problem, *_, **__: baselines.run_now(problem)  # noqa: E731
    monkeypatch.setattr(cli_solving, "solve_in_doubt", run_now)
    before = signal.getsignal(signal.SIGINT)
    _run(*_arguments(folder))
    assert signal.getsignal(signal.SIGINT) is before
