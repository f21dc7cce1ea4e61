"""Plan the field event of Phoenix: ``make bench-field-event``.

A quarter below for three hours by power caps alone, then with a battery, then 40 % below for an
hour. ``--write`` puts table and plot into RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks.field_event.instance import BATTERY, Call, read_published
from benchmarks.field_event.outcome import planned
from benchmarks.field_event.report import Case, markdown, write

CASES = (
    ("25 % below for 3 h, by caps", Call(0.75, 3.0), None),
    ("the same with a battery of 50 kW, 100 kWh", Call(0.75, 3.0), BATTERY),
    ("40 % below for 1 h, by caps", Call(0.6, 1.0), None),
    ("the same with the battery", Call(0.6, 1.0), BATTERY),
)


def main() -> None:
    """Plan each case, and tell."""
    parser = argparse.ArgumentParser(description="The field event of Phoenix, planned.")
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds for each plan")
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    arguments = parser.parse_args()
    data = os.environ.get("GRIDTIDE_DATA")
    if not data:
        sys.exit("GRIDTIDE_DATA is not set: it names the folder with demand_response/")
    published = read_published(Path(data))
    cases = []
    for name, call, battery in CASES:
        print(f"planning: {name} ...", file=sys.stderr)
        outcome = planned(published, call, battery, arguments.time_limit)
        cases.append(Case(name, battery is not None, outcome))
    print(markdown(published, cases))
    if arguments.write:
        write(published, cases)


if __name__ == "__main__":
    main()
