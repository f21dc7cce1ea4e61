"""Measure plans, bounds and rivals on the reference instances: ``make bench``.

Each measurement runs in a process of its own and is kept as one JSON file; what is on file for the
code as it is, is not measured again, so an interrupted run goes on where it was. The tables are
written from the files alone, into their own section of RESULTS.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.apart import ROOT
from benchmarks.parts import FULL, QUICK, Measurement, Scale, measurements
from benchmarks.records import Records, take
from benchmarks.section import write_section
from benchmarks.tables import outdated, section

RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> None:
    """Measure what is asked for and not on file, and write the tables."""
    arguments = _arguments()
    scale: Scale = QUICK if arguments.quick else FULL
    folder: Path = arguments.keep or ROOT / "out" / f"scale-{scale.name}"
    chosen = _chosen(scale, arguments.only)
    if arguments.list:
        print(*(measurement.name for measurement in chosen), sep="\n")
        return
    records = Records(folder)
    if not arguments.render:
        for measurement in chosen:
            if arguments.again or not records.has(measurement):
                _measure(measurement, records)
    out: Path = arguments.out or (folder / "RESULTS.md" if arguments.quick else RESULTS)
    write_section(out, section(scale, records))
    if older := outdated(scale, records):
        print("of an older state of the code:", *older)
    print(f"written: {out}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        description="Measure plans, bounds and rivals, and write their tables to RESULTS.md.",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        help="measure these alone, e.g. reference-S 'rivals-M-*' (see --list); the tables show"
        " all that is on file",
    )
    parser.add_argument(
        "--again", action="store_true", help="measure even what is on file for this code"
    )
    parser.add_argument("--render", action="store_true", help="write the tables, measure nothing")
    parser.add_argument("--list", action="store_true", help="say what there is to measure")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="small instances and seconds, to see that all works; RESULTS.md stays as it is",
    )
    parser.add_argument("--keep", type=Path, help="folder of the JSON files [out/scale-full]")
    parser.add_argument("--out", type=Path, help="file to write to [benchmarks/RESULTS.md]")
    return parser.parse_args()


def _chosen(scale: Scale, only: list[str] | None) -> list[Measurement]:
    every = list(measurements(scale))
    if only is None:
        return every
    chosen = [one for one in every if any(fnmatch(one.name, pattern) for pattern in only)]
    if not chosen:
        sys.exit(f"nothing is called {' or '.join(only)}: see --list")
    return chosen


def _measure(measurement: Measurement, records: Records) -> None:
    print(f"{measurement.name} ...", end=" ", flush=True)
    began = time.monotonic()
    record = take(measurement)
    records.keep(record)
    print(f"{record.failure or 'done'} ({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
