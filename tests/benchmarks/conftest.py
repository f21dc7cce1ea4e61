"""Files like the public ones, generated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.rolling_backtest.signals import ZONES

ISSUES = 6


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files like the real ones, with a week of signals and some jobs."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "sites").mkdir()
    (folder / "jobs").mkdir()
    rng = np.random.default_rng(0)
    hours = pd.date_range("2021-06-25", "2021-07-13", freq="h", tz="UTC")
    sun = np.maximum(0.0, np.sin(2 * np.pi * (hours.hour.to_numpy() - 6) / 24))
    measured, issued = [], []
    for zone in ZONES:
        frame = pd.DataFrame({"time_utc": hours, "site": zone, "solar_mw": 100 * sun})
        frame["ci_lifecycle"] = 300 - 100 * sun + rng.normal(0, 20, len(hours))
        frame["wind_mw"] = rng.uniform(0, 50, len(hours))
        frame["price"] = 60 - 20 * sun + rng.normal(0, 10, len(hours))
        measured.append(frame)
        for day in range(ISSUES):
            issue = pd.Timestamp("2021-07-01", tz="UTC") + pd.Timedelta(days=day)
            ahead = frame[(hours >= issue) & (hours < issue + pd.Timedelta(hours=96))]
            issued.append(
                pd.DataFrame(
                    {
                        "site": zone,
                        "issue_utc": issue,
                        "valid_utc": ahead["time_utc"],
                        "forecast_lifecycle": ahead["ci_lifecycle"] + 5.0,
                        "wind_mw_forecast": ahead["wind_mw"],
                        "solar_mw_forecast": ahead["solar_mw"],
                    }
                )
            )
    sites = folder / "sites"
    pd.concat(measured).to_csv(sites / "dev_sites_2020_2021_hourly.csv.gz", index=False)
    pd.concat(issued).to_csv(sites / "dev_forecasts_asissued_2021H2.csv.gz", index=False)
    jobs = pd.DataFrame(
        {
            "submit_time_s": rng.integers(0, 7 * 86400, 50),
            "duration_s": rng.integers(2 * 3600, 8 * 3600, 50),
            "gpus": rng.choice([1, 2, 4], 50),
        }
    )
    jobs.to_csv(folder / "jobs" / "philly_jobs.csv.gz", index=False)
    return folder
