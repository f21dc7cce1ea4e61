"""``gridtide backtest`` as a person runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.cli.console import ExitCode
from tests.cli.server import gridtide
from tests.sweep.files import CONFIG, JOBS, write_backtest

ONE_SEED = CONFIG.replace("seeds = [1, 2]", "seeds = [1]")


def test_a_sweep_is_played_in_processes_and_told(tmp_path: Path) -> None:
    """Tables and one page are written; played again, nothing is left to do."""
    config = write_backtest(tmp_path, ONE_SEED)
    arguments = ("backtest", str(config), "--out", str(tmp_path / "out"), "--json")
    result = gridtide(*arguments)
    assert result.exit_code == ExitCode.OK, result.output
    told = json.loads(result.stdout)
    assert [case["policy"] for case in told["cases"]] == ["run_now", "rolling"]
    assert told["n_missing"] == 0
    assert {Path(path).name for path in told["files"].values()} == {
        "jobs.parquet",
        "slots.parquet",
        "plans.parquet",
        "report.html",
    }
    again = gridtide(*arguments)
    assert json.loads(again.stdout) == told
    assert "plan 1 of" not in again.stderr


def test_an_interrupt_ends_all_and_the_next_one_goes_on(tmp_path: Path) -> None:
    """Exit code 130, no traceback, no process is left that plays, and no day is played twice."""
    more = [f"j{n},2021-07-05T0{n}:00Z,1,2,,2021-07-06T20:00Z,,," for n in range(8)]
    hourly = ONE_SEED.replace("every_hours = 12", "every_hours = 1")
    config = write_backtest(tmp_path, hourly, jobs=[*JOBS, *more])
    out = tmp_path / "out"
    command = [sys.executable, "-m", "scheduler", "backtest", str(config), "--out", str(out)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stderr is not None
        assert any("plan 24 of" in line for line in running.stderr)
        assert playing(running.pid)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=120)
    assert running.returncode == ExitCode.INTERRUPTED
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    assert not playing(running.pid)
    again = gridtide("backtest", str(config), "--out", str(out))
    assert again.exit_code == ExitCode.OK, again.output
    assert "plan 48 of 48" in again.stderr
    assert "plan 24 of" not in again.stderr


def playing(session: int) -> list[str]:
    """Return the commands of a session's processes that play a case and are not over."""
    listed = subprocess.run(
        ["ps", "-ww", "-s", str(session), "-o", "stat=,args="],
        check=False,
        capture_output=True,
        text=True,
    )
    lines = listed.stdout.splitlines()
    return [line for line in lines if "spawn_main" in line and not line.startswith("Z")]


def test_a_policy_that_nobody_knows_is_refused_before_anything_is_played(tmp_path: Path) -> None:
    """With those that there are."""
    config = write_backtest(tmp_path, ONE_SEED.replace('"rolling"', '"rollling"'))
    result = gridtide("backtest", str(config), "--out", str(tmp_path / "out"))
    assert result.exit_code == ExitCode.INVALID
    assert "rollling" in result.stderr
    assert "run_now" in result.stderr
    assert not (tmp_path / "out").exists()


def test_what_one_case_fails_of_is_told_and_the_others_are_done(tmp_path: Path) -> None:
    """Here no job lies within the span."""
    config = write_backtest(tmp_path, ONE_SEED, jobs=JOBS[-1:])
    result = gridtide("backtest", str(config), "--out", str(tmp_path / "out"))
    assert result.exit_code == ExitCode.INVALID
    assert "2 of 2 cases failed" in result.stderr
    assert "none of 1 jobs" in result.stderr


@pytest.mark.skipif(not Path("examples/backtest.py").is_file(), reason="not in a clone")
def test_the_example_is_written_and_can_be_read(tmp_path: Path) -> None:
    """What is shown to play it names the file."""
    result = gridtide("backtest", "--example", str(tmp_path))
    assert result.exit_code == ExitCode.OK, result.output
    assert f"gridtide backtest {tmp_path / 'backtest.toml'}" in result.stdout
    assert (tmp_path / "signals.csv").stat().st_size < 2 * 1024 * 1024
    assert os.access(tmp_path / "fleet.toml", os.R_OK)
