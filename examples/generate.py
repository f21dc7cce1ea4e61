"""Write the example day: ``python examples/generate.py --out out/example``.

Three files: ``fleet.toml`` (copied from beside this script), ``signals.csv`` and ``jobs.json``. The
same seed gives the same files. How the signals are shaped is said in ``signals.py``, what the jobs
are in ``jobs.py``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from jobs import jobs
from signals import signals

HERE = Path(__file__).resolve().parent
START = datetime(2026, 6, 7, 6, tzinfo=UTC)  # a Sunday in early summer: much sun, little demand
SIGNAL_HOURS = 48  # a day more than is planned, so that it can be planned again during the day


def write_example(folder: Path, seed: int, seconds_per_hour: float) -> None:
    """Write the fleet, its signals and its jobs into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(HERE / "fleet.toml", folder / "fleet.toml")
    signals(START, SIGNAL_HOURS, seed).to_csv(folder / "signals.csv", index=False)
    submitted = jobs(START, [sys.executable, str(HERE / "workload.py")], seconds_per_hour, seed)
    (folder / "jobs.json").write_text(json.dumps(submitted, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Read the arguments and write the files."""
    parser = argparse.ArgumentParser(description="Write the example day.")
    parser.add_argument("--out", type=Path, default=Path("out/example"), help="folder to write to")
    parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same files")
    parser.add_argument(
        "--seconds-per-hour",
        type=float,
        default=3600.0,
        help="seconds a job's process works for each hour of its work; less for a fast demo",
    )
    arguments = parser.parse_args()
    write_example(arguments.out, arguments.seed, arguments.seconds_per_hour)


if __name__ == "__main__":
    main()
