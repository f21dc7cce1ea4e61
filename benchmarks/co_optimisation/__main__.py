"""Plan four weeks of 2021 in five ways: ``make bench-co-optimisation``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks.co_optimisation.instance import MONDAYS, week_of
from benchmarks.co_optimisation.report import Week, markdown, write
from benchmarks.co_optimisation.ways import results


def main() -> None:
    """Plan each week, and tell."""
    parser = argparse.ArgumentParser(
        description="What it is worth to plan jobs and batteries as one."
    )
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds for each solve")
    parser.add_argument("--weeks", type=int, default=len(MONDAYS), help="how many of them")
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    arguments = parser.parse_args()
    data = os.environ.get("GRIDTIDE_DATA")
    if not data:
        sys.exit("GRIDTIDE_DATA is not set: it names the folder with sites/ and jobs/")
    weeks = []
    for monday in MONDAYS[: arguments.weeks]:
        print(f"week of {monday:%Y-%m-%d} ...", file=sys.stderr)
        problem = week_of(Path(data), monday)
        weeks.append(Week(monday, len(problem.jobs), results(problem, arguments.time_limit)))
    print(markdown(weeks))
    if arguments.write:
        write(weeks)


if __name__ == "__main__":
    main()
