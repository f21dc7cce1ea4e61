"""Write a backtest: ``python examples/backtest.py --out out/backtest-example``.

Four files for ``gridtide backtest``: ``backtest.toml``, ``fleet.toml`` (copied from beside this
script), ``signals.parquet`` (or ``.csv``) and ``jobs.csv``. The same seed gives the same files.

* Signals are those of the example day (``signals.py``), drawn anew for each day; prices do not say
  since when they are known. Carbon, sun and wind are forecast at midnight UTC for two days, with
  errors that are correlated in time and grow, and measured at the end of each interval.
* Jobs come at any time of the day, fewer at night. Every third may pause. What they state is
  longer than what they take, by a factor that the backtest draws.
"""

from __future__ import annotations

import argparse
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from signals import signals

HERE = Path(__file__).resolve().parent
BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
HISTORY_DAYS = 7  # before the begin: what forecasts are made from
AHEAD = pd.Timedelta(hours=48)
FORECAST = {"carbon_intensity": 0.12, "pv": 0.25, "wind": 0.25}  # spread of errors, relative
POOLS = {"h100": (48, 1.0), "a100": (24, 0.62)}  # GPUs one job may hold at most, kW per GPU


@dataclass(frozen=True)
class Wanted:
    """How much is written."""

    days: int
    jobs: int
    seed: int
    policies: tuple[str, ...] = ("run_now", "day_ahead", "rolling", "perfect", "lowest_window")


def measured(wanted: Wanted) -> pd.DataFrame:
    """Every signal as it truly comes, a day drawn after the other."""
    frames = []
    for day in range(-HISTORY_DAYS, wanted.days + 1):
        start = BEGIN + timedelta(days=day)
        frames.append(signals(start, 24, wanted.seed * 100_003 + day + HISTORY_DAYS))
    whole = pd.concat(frames, ignore_index=True)
    whole["start_at"] = pd.to_datetime(whole["start_at"], utc=True)
    return whole


def forecast(came: pd.DataFrame, rng: np.random.Generator) -> Iterator[pd.DataFrame]:
    """Yield what is issued each midnight: what will come, with errors that grow and last."""
    uncertain = came[came["kind"].isin(list(FORECAST))].sort_values("start_at")
    for (_, kind), series in uncertain.groupby(["site", "kind"], sort=True):
        per_day = pd.Timedelta(days=1) // pd.Timedelta(minutes=int(series["minutes"].iloc[0]))
        n_ahead = AHEAD // pd.Timedelta(days=1) * per_day
        memory = 0.94 ** (24 / per_day)
        for first in range(0, len(series), per_day):
            ahead = series.iloc[first : first + n_ahead]
            error = np.zeros(len(ahead))
            for step in range(1, len(ahead)):
                fresh = math.sqrt(1 - memory**2) * rng.standard_normal()
                error[step] = memory * error[step - 1] + fresh
            value = (ahead["value"] * np.clip(1 + FORECAST[kind] * error, 0.2, 3.0)).round(3)
            yield ahead.assign(value=value, known_at=ahead["start_at"].iloc[0])


def known(came: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Forecasts as issued, and what came: known at the end of its interval."""
    issued = pd.concat(forecast(came, np.random.default_rng([seed, 1])), ignore_index=True)
    at_end = came["start_at"] + pd.to_timedelta(came["minutes"], unit="min")
    since = at_end.where(came["kind"].isin(list(FORECAST)))
    whole = pd.concat([issued, came.assign(known_at=since)], ignore_index=True)
    # What is issued for the interval that begins then is measured later; nothing is told twice.
    return whole.drop_duplicates(["site", "kind", "start_at", "known_at"], keep="last")


def jobs(wanted: Wanted) -> pd.DataFrame:
    """Jobs that come and are due within the days."""
    rng = np.random.default_rng([wanted.seed, 2])
    rows = []
    for number in range(wanted.jobs):
        pool = "h100" if rng.random() < 0.55 else "a100"
        most, kw = POOLS[pool]
        gpus = int(min(most, rng.choice([1, 2, 4, 8, 16], p=[0.25, 0.2, 0.25, 0.2, 0.1])))
        hours = float(np.clip(rng.lognormal(1.6, 0.9), 0.5, 36.0))
        hour = float(rng.choice(24, p=_BY_HOUR)) + float(rng.random())
        day = int(rng.integers(max(1, wanted.days - 4)))
        submitted = BEGIN + timedelta(days=day, hours=hour)
        pausable = number % 3 == 2
        rows.append(
            {
                "name": f"job-{number:05d}",
                "submitted_at": submitted.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "gpus": gpus,
                "true_hours": round(hours, 3),
                "pool": pool,
                "kw": round(gpus * kw, 3),
                "pausable": str(pausable).lower(),
                "min_run_minutes": 60 if pausable else "",
                "restart_minutes": 15 if pausable else "",
            }
        )
    return pd.DataFrame(rows)


_DAY = np.array([1 + math.exp(-0.5 * ((hour - 15) / 4) ** 2) * 3 for hour in range(24)])
_BY_HOUR = _DAY / _DAY.sum()


def config(wanted: Wanted, ending: str) -> str:
    """Return what is replayed: the days, with the jobs that are due within them."""
    end = BEGIN + timedelta(days=wanted.days)
    policies = "\n".join(f'\n[[policies]]\nuse = "{name}"' for name in wanted.policies)
    return f"""# A backtest of the example fleet: gridtide backtest backtest.toml
begin = {BEGIN:%Y-%m-%dT%H:%M:%SZ}
end = {end:%Y-%m-%dT%H:%M:%SZ}
fleet = "fleet.toml"
every_hours = 6       # from plan to plan
time_limit_s = 0.5    # CPU time of a plan
seeds = [{wanted.seed}]

[signals]
files = ["signals.{ending}"]

[jobs]
file = "jobs.csv"
stated_factor = [1.0, 2.0]  # jobs state more than they take
slack_hours = 24
{policies}
"""


def write_example(folder: Path, wanted: Wanted, ending: str) -> None:
    """Write all four files into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(HERE / "fleet.toml", folder / "fleet.toml")
    table = known(measured(wanted), wanted.seed)
    if ending == "csv":
        table.to_csv(folder / "signals.csv", index=False, date_format="%Y-%m-%dT%H:%M:%SZ")
    else:
        table.to_parquet(folder / "signals.parquet", index=False)
    jobs(wanted).to_csv(folder / "jobs.csv", index=False)
    (folder / "backtest.toml").write_text(config(wanted, ending), encoding="utf-8")


def main() -> None:
    """Read the arguments and write the files."""
    parser = argparse.ArgumentParser(description="Write the example of a backtest.")
    parser.add_argument("--out", type=Path, default=Path("out/backtest-example"))
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--signals", choices=("csv", "parquet"), default="csv")
    arguments = parser.parse_args()
    wanted = Wanted(arguments.days, arguments.jobs, arguments.seed)
    write_example(arguments.out, wanted, arguments.signals)


if __name__ == "__main__":
    main()
