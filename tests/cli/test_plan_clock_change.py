"""``gridtide plan`` on a day of 25 hours, from files, with a tariff: as a person runs it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from optimizer import verify
from scheduler.cli import app
from scheduler.cli.console import ExitCode
from scheduler.files import read_plan
from tests.tariffs.documents import document

MIDNIGHT = datetime(2026, 11, 1, 7, tzinfo=UTC)  # in Los Angeles, where 01:00 comes twice
FLEET = """
[planning]
slot_minutes = 15

[planning.weights]
carbon_eur_per_t = 0

[[sites]]
name = "LA"
time_zone = "America/Los_Angeles"
base_load_kw = 20
grid = { import_limit_kw = 500, network_fee_per_mwh = 8 }
pools = [{ name = "a100", gpus = 8 }]

[sites.tariff]
urdb_file = "tariff.json"
"""
JOBS = """name,work_hours,pool,gpus,kw,release_at,deadline_at
train,3,a100,8,40,2026-11-01T00:00-07:00,2026-11-02T00:00-08:00
"""
FILES = {"fleet": "fleet.toml", "signals": "signals.csv", "jobs": "jobs.csv"}
DEAR = [1 if 16 <= hour < 20 else 2 if hour in {1, 2} else 0 for hour in range(24)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """50 EUR/MWh, 150 from 16 to 20, 10 from 1 to 3; 3 EUR/kW of the highest from 16 to 20."""
    urdb = document(
        energyratestructure=[[{"rate": 0.05}], [{"rate": 0.15}], [{"rate": 0.01}]],
        energyweekdayschedule=[DEAR] * 12,
        energyweekendschedule=[DEAR] * 12,
        demandratestructure=[[{"rate": 0}], [{"rate": 3.0}]],
        demandweekdayschedule=[[int(one == 1) for one in DEAR]] * 12,
        demandweekendschedule=[[int(one == 1) for one in DEAR]] * 12,
    )
    (tmp_path / "tariff.json").write_text(json.dumps(urdb))
    (tmp_path / "fleet.toml").write_text(FLEET)
    (tmp_path / "jobs.csv").write_text(JOBS)
    rows = [
        f"LA,carbon_intensity,{MIDNIGHT + timedelta(hours=hour):%Y-%m-%dT%H:%MZ},60,300"
        for hour in range(25)
    ]
    (tmp_path / "signals.csv").write_text("\n".join(["site,kind,start_at,minutes,value", *rows]))
    return tmp_path


def test_a_day_of_25_hours_is_planned_from_files_at_the_price_by_hand(folder: Path) -> None:
    """Base load 20 kW: 3 h at 10, 4 at 150, 18 at 50; the job of 40 kW takes the three cheap hours.

    20 x (30 + 600 + 900) = 30.6 and 40 x 30 = 1.2: 31.8 EUR; 620 kWh at 8 are 4.96; 20 kW are 60.
    """
    files = [f"--{name}={folder / file}" for name, file in FILES.items()]
    window = ["--start=2026-11-01T00:00-07:00", "--hours=25"]
    result = CliRunner().invoke(
        app, ["plan", *files, *window, f"--out={folder / 'out'}"], catch_exceptions=False
    )
    assert result.exit_code == ExitCode.OK, result.output
    made = read_plan(folder / "out")
    assert verify(made.problem, made.plan) == ()
    terms = made.plan.terms
    assert terms.energy_bought_eur == pytest.approx(31.8)
    assert terms.network_eur == pytest.approx(4.96)
    assert terms.peak_eur == pytest.approx(60.0)
    energy = pd.read_csv(folder / "out" / "energy.csv")
    assert len(energy) == 100
    assert made.energy_so_far_kwh == {"LA": (0.0, 0.0, 0.0)}
