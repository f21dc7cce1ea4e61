"""The example day: reproducible, valid, and as interesting as its description says."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from examples import signals
from scheduler.specs import FleetSpec, JobSpec

GENERATE = Path(__file__).parents[2] / "examples" / "generate.py"


def generate(folder: Path, *arguments: str) -> Path:
    """Run the generator as a user does."""
    command = [sys.executable, str(GENERATE), "--out", str(folder), *arguments]
    subprocess.run(command, check=True, cwd=folder.parent)
    return folder


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One generated example."""
    return generate(tmp_path_factory.mktemp("example") / "day")


@pytest.fixture(scope="module")
def prices(example: Path) -> pd.DataFrame:
    """Prices of both days by site."""
    table = pd.read_csv(example / "signals.csv", parse_dates=["start_at"])
    return table[table["kind"] == "price"]


@pytest.fixture(scope="module")
def jobs(example: Path) -> list[JobSpec]:
    """The jobs, validated."""
    written: list[dict[str, Any]] = json.loads((example / "jobs.json").read_text())
    return [JobSpec.model_validate(job) for job in written]


def test_same_seed_same_files(example: Path, tmp_path: Path) -> None:
    """A result on the example can be made again."""
    again = generate(tmp_path / "again")
    for name in ("fleet.toml", "signals.csv", "jobs.json"):
        assert (again / name).read_bytes() == (example / name).read_bytes()


def test_another_seed_gives_another_day(example: Path, tmp_path: Path) -> None:
    """The noise is drawn, not written down."""
    other = generate(tmp_path / "other", "--seed", "8")
    assert (other / "signals.csv").read_bytes() != (example / "signals.csv").read_bytes()


def test_fleet_has_three_sites_with_batteries_and_two_currencies(example: Path) -> None:
    """Three grid zones; PV at two sites, wind and a generator at the third."""
    fleet = FleetSpec.model_validate(tomllib.loads((example / "fleet.toml").read_text()))
    assert len(fleet.sites) == 3
    assert all(site.batteries for site in fleet.sites)
    assert sum(site.has_pv for site in fleet.sites) == 2
    assert {site.currency for site in fleet.sites} == {"EUR", "USD"}
    assert len({site.time_zone for site in fleet.sites}) == 3


def test_sixty_jobs_of_every_kind(jobs: list[JobSpec]) -> None:
    """Whatever a job may be, some job of the example is."""
    assert len(jobs) == 60
    assert any(job.pausing for job in jobs)
    assert any(job.is_elastic for job in jobs)
    assert any(job.data and job.data.command for job in jobs)
    assert any(job.after for job in jobs)
    assert any(job.due_at for job in jobs)
    assert any(point.power_cap_w for job in jobs for point in job.operating_points)
    assert {job.priority.value for job in jobs} == {"low", "normal", "high", "urgent"}


def test_every_job_fits_its_own_window(jobs: list[JobSpec]) -> None:
    """Each could end by its deadline if it ran alone at its first operating point."""
    for job in jobs:
        hours = job.work_hours / job.operating_points[0].speed
        assert (job.deadline_at - job.release_at).total_seconds() / 3600 > hours, job.name


def test_prices_are_negative_around_noon_in_frankfurt(prices: pd.DataFrame) -> None:
    """Where much sun meets little demand, some quarter hours pay the consumer."""
    frankfurt = prices[prices["site"] == "frankfurt"]
    negative = frankfurt[frankfurt["value"] < 0]
    local_hours = negative["start_at"].dt.tz_convert("Europe/Berlin").dt.hour
    assert len(negative) >= 4
    assert local_hours.between(10, 16).all()


def test_fresno_has_the_neck_of_a_duck(prices: pd.DataFrame) -> None:
    """The evening is more than ten times as dear as noon."""
    fresno = prices[prices["site"] == "fresno"].set_index("start_at")["value"]
    local = fresno.index.tz_convert("America/Los_Angeles").hour
    evening = fresno[(local >= 19) & (local <= 20)].mean()
    noon = fresno[(local >= 11) & (local <= 14)].mean()
    assert evening > 10 * noon


def test_noise_is_correlated_in_time() -> None:
    """Neighbouring hours of a long series correlate by about 0.94, as documented."""
    clock = signals.Clock(pd.Timestamp("2026-01-01", tz="UTC"), 20000, 60, "UTC")
    noise = signals.correlated_noise(clock, np.random.default_rng(1))
    assert np.corrcoef(noise[:-1], noise[1:])[0, 1] == pytest.approx(0.94, abs=0.01)
