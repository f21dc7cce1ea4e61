"""The example day of the demo: generated, read, and taken into a database of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from scheduler.cli.carry_out import end_all_jobs
from scheduler.cli.console import UserError
from scheduler.cli.database import upgraded_sessions
from scheduler.db.session import SessionFactory, transaction
from scheduler.files import read_fleet, read_jobs
from scheduler.main import connect, read_signal_file
from scheduler.services import fleet as fleets
from scheduler.services.jobs import submit_job
from scheduler.services.signals import insert_values, points_of
from scheduler.settings import Settings
from scheduler.specs import FleetSpec, JobSpec
from scheduler.timekeeping import system_now

MARKER = ".made-by-gridtide-demo"


@dataclass(frozen=True, slots=True)
class ExampleDay:
    """The example as its files say, and the settings it is played under.

    ``start`` is when the first job is released.
    """

    settings: Settings
    fleet: FleetSpec
    jobs: tuple[JobSpec, ...]
    signals: pd.DataFrame
    start: datetime


def prepare(example: Path, out: Path, seconds_per_hour: float) -> ExampleDay:
    """Generate the day into ``out`` and clear away what an earlier demo left there.

    Raises
    ------
    UserError
        The generator fails, or the state folder in ``out`` is not a demo's.
    """
    folder, state = out / "example", out / "state"
    _require_own(state)
    _generate(example, folder, seconds_per_hour)
    database = f"sqlite:///{state.resolve() / 'gridtide.db'}"
    settings = Settings(state_dir=state, database_url=database)
    fleet, jobs = read_fleet(folder / "fleet.toml"), read_jobs(folder / "jobs.json")
    if state.exists():
        end_all_jobs(connect(settings, fleet, system_now))
        shutil.rmtree(state)
    state.mkdir()
    (state / MARKER).touch()
    return ExampleDay(
        settings=settings,
        fleet=fleet,
        jobs=jobs,
        signals=read_signal_file(folder / "signals.csv"),
        start=min(job.release_at for job in jobs),
    )


def take_in(day: ExampleDay, by: str) -> SessionFactory:
    """Put fleet, signals and jobs into a fresh database, as the API would."""
    sessions = upgraded_sessions(day.settings)
    with transaction(sessions) as session:
        fleets.replace_fleet(session, day.fleet, by, day.start)
        insert_values(session, points_of(day.signals, day.start), source="example")
        for spec in day.jobs:
            submit_job(session, spec, by, day.start)
    return sessions


def _require_own(state: Path) -> None:
    """Refuse to clear away a folder that no demo made."""
    if state.exists() and not (state / MARKER).is_file():
        raise UserError(f"{state} was not made by a demo and is left alone: choose another --out")


def _generate(example: Path, folder: Path, seconds_per_hour: float) -> None:
    script = example / "generate.py"
    if not script.is_file():
        raise UserError(f"{script} is missing: run the demo in a clone of the repository")
    pace = ("--seconds-per-hour", f"{seconds_per_hour:g}")
    ended = subprocess.run(
        [sys.executable, str(script), "--out", str(folder), *pace],
        check=False,
        capture_output=True,
        text=True,
    )
    if ended.returncode != 0:
        raise UserError(f"{script} failed", tuple(ended.stderr.splitlines()[-5:]))
