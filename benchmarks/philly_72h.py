"""Plan 72 hours of real prices, carbon and jobs at three sites: ``make bench-72h``.

Builds ``fleet.toml``, ``signals.csv`` and ``jobs.csv`` from the data folder that ``GRIDTIDE_DATA``
names, then runs ``gridtide plan`` on them once with 60 s and once with 600 s, and prints what is in
RESULTS.md. What was assumed:

* DE, CISO and NYISO from 2021-07-05T00:00Z, hourly; carbon is the lifecycle average of the zone.
* Dollars at 1 EUR = 1.1827 USD, the European Central Bank's average of 2021.
* PV of 0.5 MW at the zone's highest output in the data; none at NYISO, which reports no solar.
* A 1 MW / 2 MWh battery per site, 95 % each way, half full at the start and at the end. Wear is
  0.0167 EUR for every kWh in and every kWh out: 200 EUR/kWh over 6,000 full cycles.
* Export earns the import price. A site may import 1 MW and export 0.5 MW, the rating of its PV.
* 64 GPUs per site at 0.8125 kW each: an eighth of a DGX A100's 6.5 kW (NVIDIA data sheet, maximum).
* The first 150 Philly jobs of 30 minutes to 24 hours on at most 16 GPUs, in their order, released
  evenly over 36 h, due 24 h after the earliest they could end. Every third may pause: pieces of an
  hour and more, and each restart costs 15 minutes of its energy.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

START = datetime(2021, 7, 5, tzinfo=UTC)
HOURS = 72
EUR_PER_USD = 1 / 1.1827
PV_KW = 500.0
GPUS = 64
WEAR_EUR_PER_KWH = 200 / (2 * 6000)
KW_PER_GPU = 6.5 / 8
N_JOBS = 150
RELEASE_HOURS = 36
SLACK = timedelta(hours=24)
TIME_LIMITS_S = (60, 600)
SITES = {
    "DE": ("Europe/Berlin", "EUR"),
    "CISO": ("America/Los_Angeles", "USD"),
    "NYISO": ("America/New_York", "USD"),
}


def fleet_toml(sites_with_pv: set[str]) -> str:
    """Write the fleet as a user would."""
    parts = [
        'name = "philly-72h"',
        f"eur_per_unit = {{ USD = {EUR_PER_USD:.6f} }}",
        "[planning]",
        f"slot_minutes = 60\nhorizon_hours = {HOURS}\nmip_gap = 0.0001",
        'carbon_intensity_name = "zone average, lifecycle"',
    ]
    for name, (time_zone, currency) in SITES.items():
        per_eur = 1.0 if currency == "EUR" else 1 / EUR_PER_USD
        parts.append(
            f"""
[[sites]]
name = "{name}"
time_zone = "{time_zone}"
currency = "{currency}"
has_pv = {str(name in sites_with_pv).lower()}
grid = {{ import_limit_kw = 1000, export_limit_kw = 500 }}
pools = [{{ name = "gpu", gpus = {GPUS} }}]

[[sites.batteries]]
power_kw = 1000
capacity_kwh = 2000
soc_initial_kwh = 1000
soc_final_min_kwh = 1000
wear_per_kwh = {WEAR_EUR_PER_KWH * per_eur:.6f}"""
        )
    return "\n".join(parts) + "\n"


def site_signals(hourly: pd.DataFrame, site: str) -> pd.DataFrame:
    """Price, carbon and PV of one site in the window; hours the data lacks stay away."""
    of_site = hourly[hourly["site"] == site].set_index("time_utc")
    kinds = {"price": of_site["price"], "carbon_intensity": of_site["ci_lifecycle"]}
    solar = of_site["solar_mw"]
    if solar.notna().any():
        kinds["pv"] = (solar / solar.max() * PV_KW).round(3)
    end = START + timedelta(hours=HOURS)
    frames = [
        values[(values.index >= START) & (values.index < end)]
        .dropna()
        .rename("value")
        .rename_axis("start_at")
        .reset_index()
        .assign(site=site, kind=kind, minutes=60)
        for kind, values in kinds.items()
    ]
    return pd.concat(frames, ignore_index=True)


def job_table(philly: pd.DataFrame) -> pd.DataFrame:
    """Describe the jobs, one row each."""
    is_chosen = philly["duration_s"].between(1800, 86400) & (philly["gpus"] <= 16)
    chosen = philly[is_chosen].head(N_JOBS).reset_index(drop=True)
    rows: list[dict[str, Any]] = []
    for number, job in chosen.iterrows():
        order = int(str(number))
        release = START + timedelta(hours=RELEASE_HOURS * order / N_JOBS)
        length = timedelta(seconds=float(job["duration_s"]))
        kw = KW_PER_GPU * int(job["gpus"])
        is_pausable = order % 3 == 2
        rows.append(
            {
                "name": f"philly-{order:03d}",
                "work_hours": length / timedelta(hours=1),
                "pool": "gpu",
                "gpus": int(job["gpus"]),
                "kw": kw,
                "release_at": release.isoformat(),
                "deadline_at": (release + length + SLACK).isoformat(),
                "pausable": str(is_pausable).lower(),
                "min_run_minutes": 60 if is_pausable else "",
                "restart_kwh": kw / 4 if is_pausable else "",
            }
        )
    return pd.DataFrame(rows)


def write_inputs(data: Path, folder: Path) -> None:
    """Write the three files ``gridtide plan`` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    hourly = pd.read_csv(
        data / "sites" / "dev_sites_2020_2021_hourly.csv.gz", parse_dates=["time_utc"]
    )
    signals = pd.concat([site_signals(hourly, site) for site in SITES], ignore_index=True)
    signals.to_csv(folder / "signals.csv", index=False, date_format="%Y-%m-%dT%H:%M:%SZ")
    sites_with_pv = set(signals.loc[signals["kind"] == "pv", "site"])
    (folder / "fleet.toml").write_text(fleet_toml(sites_with_pv), encoding="utf-8")
    philly = pd.read_csv(data / "jobs" / "philly_jobs.csv.gz")
    job_table(philly).to_csv(folder / "jobs.csv", index=False)


def command(folder: Path, time_limit_s: int) -> list[str]:
    """Write the command whose figures are in RESULTS.md."""
    return [
        "gridtide",
        "plan",
        *("--fleet", str(folder / "fleet.toml")),
        *("--signals", str(folder / "signals.csv")),
        *("--jobs", str(folder / "jobs.csv")),
        *("--start", "2021-07-05T00:00Z"),
        *("--hours", str(HOURS)),
        *("--time-limit", str(time_limit_s)),
        *("--out", str(folder / f"plan_{time_limit_s}s")),
    ]


def main() -> None:
    """Build the inputs, plan them, and print what came out."""
    parser = argparse.ArgumentParser(description="Plan 72 h of real data at three sites.")
    parser.add_argument("--out", type=Path, default=Path("out/philly_72h"))
    parser.add_argument("--inputs-only", action="store_true", help="write the files, plan nothing")
    arguments = parser.parse_args()
    data = os.environ.get("GRIDTIDE_DATA")
    if not data:
        sys.exit("GRIDTIDE_DATA is not set: it names the folder with sites/ and jobs/")
    write_inputs(Path(data), arguments.out)
    if arguments.inputs_only:
        return
    for time_limit_s in TIME_LIMITS_S:
        words = command(arguments.out, time_limit_s)
        print("$", *words, flush=True)
        program = Path(sys.executable).with_name(words[0])
        ended = subprocess.run([program, *words[1:], "--json"], stdout=subprocess.PIPE, check=False)
        print(json.dumps(json.loads(ended.stdout), indent=1), f"exit status {ended.returncode}")


if __name__ == "__main__":
    main()
