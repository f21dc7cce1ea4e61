"""Replay the published single-job table: ``make bench-single-job``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.section import write_section
from benchmarks.single_job.replayed import ZONES, Found, read_zone, replayed

RESULTS = Path(__file__).parents[1] / "RESULTS.md"
TOLERANCE = 1e-5
HEAD = """\
The least carbon of one job that may wait, as published for nine zones of 2022, by a replay: plans
with true signals, made anew every two days, carried out by production's dispatch in steps of five
minutes, and settled. How: [replayed.py](single_job/replayed.py)."""
SOURCES = """\
Data: umassos/decarbonization-potential (Apache-2.0; Electricity Maps, ODbL)."""


def main() -> None:
    """Replay some start hours of every zone, tell, and fail where one is not as published."""
    parser = argparse.ArgumentParser(description="The published single-job table, replayed.")
    parser.add_argument("--every", type=int, default=9, help="one start hour of so many per zone")
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    arguments = parser.parse_args()
    named = os.environ.get("GRIDTIDE_DATA")
    if not named:
        sys.exit("GRIDTIDE_DATA is not set: it names the folder with carbon/")
    found: list[Found] = []
    for number, zone in enumerate(ZONES):
        print(f"{zone} ...", file=sys.stderr, flush=True)
        hourly, rows = read_zone(Path(named), zone)
        starts = sorted(rows.start_hour.unique())[number % arguments.every :: arguments.every]
        for start in starts:
            found += replayed(zone, hourly, rows[rows.start_hour == start])
    table = markdown(found)
    print(table)
    if arguments.write:
        command = f"python -m benchmarks.single_job --every {arguments.every} --write"
        title = "## One job, as published, replayed"
        parts = (title, HEAD, f"```\n{command}\n```", table, SOURCES)
        write_section(RESULTS, "\n\n".join(parts), "make bench-single-job")
    worst = max(found, key=lambda one: one.difference)
    if worst.difference > TOLERANCE:
        sys.exit(f"not as published to {TOLERANCE:g}: {worst}")


def markdown(found: Sequence[Found]) -> str:
    """Return a row per zone: mean intensities published and replayed, and the worst difference."""
    lines = [
        "| | Start hours | Jobs | In one piece, published [g/kWh] | Replayed"
        " | Paused at will, published [g/kWh] | Replayed | Largest relative difference |",
        "| :--- |" + " ---: |" * 7,
    ]
    for zone in dict.fromkeys(one.zone for one in found):
        here = [one for one in found if one.zone == zone]
        means = " | ".join(
            f"{_mean(one.published / one.job_h for one in part):.4f}"
            f" | {_mean(one.replayed / one.job_h for one in part):.4f}"
            for part in (
                [one for one in here if one.is_paused is paused] for paused in (False, True)
            )
        )
        n_starts = len({one.start_hour for one in here})
        worst = max(one.difference for one in here)
        lines.append(f"| {zone} | {n_starts} | {len(here)} | {means} | {worst:.1e} |")
    return "\n".join(lines)


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


if __name__ == "__main__":
    main()
