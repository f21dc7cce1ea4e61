"""A small backtest in files: two sites, two days, five jobs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

FLEET = """
[planning]
slot_minutes = 60
horizon_hours = 24
weights = { carbon_eur_per_t = 80 }

[[sites]]
name = "DE"
time_zone = "Europe/Berlin"
has_pv = true
grid = { import_limit_kw = 100, export_limit_kw = 50 }
pools = [{ name = "a100", gpus = 8, kw_per_gpu = 0.5 }]
batteries = [{ power_kw = 2, capacity_kwh = 4, soc_initial_kwh = 2, wear_per_kwh = 0.001 }]

[[sites]]
name = "FR"
time_zone = "Europe/Paris"
grid = { import_limit_kw = 100 }
pools = [{ name = "a100", gpus = 4, kw_per_gpu = 0.5 }]
"""
CONFIG = """
begin = 2021-07-05T00:00:00Z
end = 2021-07-07T00:00:00Z
fleet = "fleet.toml"
every_hours = 12
seeds = [1, 2]

[signals]
files = ["signals.csv"]

[jobs]
file = "jobs.csv"
stated_factor = [1.0, 1.5]

[[policies]]
use = "run_now"

[[policies]]
use = "rolling"
"""
HEADER = "name,submitted_at,gpus,true_hours,stated_hours,deadline_at,sites,pausable,restart_minutes"
JOBS = (
    "a,2021-07-05T01:00Z,4,3.0,,2021-07-06T01:00Z,,,",
    "b,2021-07-05T02:10Z,8,2.51,4,2021-07-06T12:00Z,DE,,",
    "c,2021-07-05T09:00Z,2,5,,,,true,15",
    "d,2021-07-05T20:00Z,1,1,1,2021-07-06T23:00Z,FR DE,false,",
    "e,2021-07-06T20:00Z,1,6,,,,,",
)
"""The last is due after the end."""


def write_backtest(
    folder: Path, config: str = CONFIG, fleet: str = FLEET, jobs: Sequence[str] = JOBS
) -> Path:
    """Write all files; return the backtest."""
    rng = np.random.default_rng(3)
    rows = ["site,kind,start_at,minutes,value,known_at"]
    for hour in range(-24, 48):
        at = np.datetime64("2021-07-05T00:00") + np.timedelta64(hour, "h")
        sun = max(0.0, float(np.sin(2 * np.pi * (hour - 6) / 24)))
        for site in ("DE", "FR"):
            rows.append(f"{site},price,{at}Z,60,{60 - 30 * sun + rng.normal(0, 9):.2f},")
            rows.append(f"{site},carbon_intensity,{at}Z,60,{350 - 150 * sun:.1f},")
            guess = 350 - 150 * sun + rng.normal(0, 40)
            rows.append(f"{site},carbon_intensity,{at}Z,60,{guess:.1f},2021-07-03T22:00Z")
        rows.append(f"DE,pv,{at}Z,60,{0.4 * sun:.3f},")
    (folder / "signals.csv").write_text("\n".join(rows) + "\n")
    (folder / "fleet.toml").write_text(fleet)
    (folder / "jobs.csv").write_text("\n".join([HEADER, *jobs]) + "\n")
    (folder / "backtest.toml").write_text(config)
    return folder / "backtest.toml"
