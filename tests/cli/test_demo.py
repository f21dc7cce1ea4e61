"""``gridtide demo`` on a day that is planned in a second."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from scheduler.cli.console import ExitCode
from tests.cli.server import gridtide

GENERATE = '''
import argparse, json, pathlib, sys
parser = argparse.ArgumentParser()
parser.add_argument("--out", type=pathlib.Path)
parser.add_argument("--seconds-per-hour", type=float)
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)
work = "import time; time.sleep(%g)" % options.seconds_per_hour
(options.out / "fleet.toml").write_text("""
[planning]
horizon_hours = 6
time_limit_s = 20
mip_gap = 0.001
[[sites]]
name = "DE"
time_zone = "Europe/Berlin"
grid = { import_limit_kw = 100 }
pools = [{ name = "a100", gpus = 8 }]
batteries = [{ power_kw = 5, capacity_kwh = 10, soc_initial_kwh = 5 }]
""")
rows = [
    f"DE,{kind},2026-06-07T{hour:02d}:00Z,60,{value}"
    for hour, price in enumerate((20, 30, 90, 80, 70, 60))
    for kind, value in (("price", price), ("carbon_intensity", 300))
]
header = "site,kind,start_at,minutes,value"
(options.out / "signals.csv").write_text("\\n".join([header, *rows]) + "\\n")
jobs = [
    {
        "name": name,
        "work_hours": 1,
        "operating_points": [{"pool": "a100", "gpus": 4, "kw": 2}],
        "release_at": "2026-06-07T00:00Z",
        "deadline_at": deadline,
        "command": [sys.executable, "-c", command],
    }
    for name, deadline, command in (
        ("first", "2026-06-07T06:00Z", work),
        ("second", "2026-06-07T06:00Z", EXTRA or work),
    )
]
(options.out / "jobs.json").write_text(json.dumps(jobs))
'''


def example(folder: Path, second_job: str = "") -> Path:
    """Write a generator for two jobs; ``second_job`` is what the second one runs instead."""
    folder.mkdir()
    (folder / "generate.py").write_text(f"EXTRA = {second_job!r}\n{GENERATE}")
    return folder


def run_demo(tmp_path: Path, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Carry out two hours in three seconds."""
    pace = ("--hours", "2", "--seconds-per-hour", "1.5")
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "scheduler",
            "demo",
            "--example",
            folder,
            "--out",
            tmp_path,
            *pace,
            *more,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "GRIDTIDE_DATABASE_URL": "sqlite:///must-not-be-used"},
    )


def test_the_day_is_planned_and_carried_out(tmp_path: Path) -> None:
    """Both jobs run in the cheap hours, as real processes, through a database of the demo's own.

    A second demo in the same folder starts anew; there a job fails: the text says so, and the exit
    code is that of a plan not kept.
    """
    ended = run_demo(tmp_path, example(tmp_path / "example"), "--json")
    assert ended.returncode == ExitCode.OK, ended.stderr
    result: dict[str, Any] = json.loads(ended.stdout)
    assert result["jobs"] == {"succeeded": 2}
    assert result["commands"]["submit"] == 2
    assert result["gap"] <= 0.005
    assert result["totals"]["money_eur"]["plan"] <= result["totals"]["money_eur"]["run_now"]
    assert (tmp_path / "plan.html").stat().st_size > 10_000
    assert json.loads((tmp_path / "plan.json").read_text())
    assert (tmp_path / "state" / "gridtide.db").is_file()
    ended = run_demo(tmp_path, example(tmp_path / "failing", "raise SystemExit(3)"))
    assert ended.returncode == ExitCode.MISSED, ended.stderr
    assert "1 failed, 1 succeeded" in ended.stdout
    assert "run-now" in ended.stdout


def test_without_an_example_it_says_what_is_missing(tmp_path: Path) -> None:
    """An installed Gridtide has no examples folder."""
    result = gridtide("demo", "--example", str(tmp_path), "--out", str(tmp_path / "out"))
    assert result.exit_code == ExitCode.INVALID
    assert "generate.py is missing" in result.output


def test_a_state_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """With ``--out .`` a deployment's own state may lie there: it is refused, not cleared away."""
    precious = tmp_path / "state" / "gridtide.db"
    precious.parent.mkdir()
    precious.touch()
    folder = example(tmp_path / "example")
    result = gridtide("demo", "--example", str(folder), "--out", str(tmp_path))
    assert result.exit_code == ExitCode.INVALID
    assert "was not made by a demo" in " ".join(result.output.split())
    assert precious.exists()


def test_a_generator_that_fails_is_told(tmp_path: Path) -> None:
    """With the end of what it wrote."""
    (tmp_path / "generate.py").write_text("raise SystemExit('no numpy here')")
    result = gridtide("demo", "--example", str(tmp_path), "--out", str(tmp_path / "out"))
    assert result.exit_code == ExitCode.INVALID
    assert "no numpy here" in result.output
