"""``python -m benchmarks.signal_store``: a year of signals, and mistakes in real ones."""

from __future__ import annotations

import argparse
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.apart import ROOT
from benchmarks.section import write_section
from benchmarks.signal_store.mistakes import Rates, rates
from benchmarks.signal_store.store import Figures, measure
from tests.fixtures.postgres import running_postgres, server_binaries

WRITER = "benchmarks.signal_store"


def main() -> None:
    """Measure what is asked for, print it, and write the section where all of it was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--only", choices=("store", "mistakes"))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "RESULTS.md")
    asked = parser.parse_args()
    found: list[Figures] = []
    if asked.only != "mistakes":
        found = _store(asked.days)
        print(_of_store(found))
    data, judged = os.environ.get("GRIDTIDE_DATA"), []
    if asked.only != "store" and data is not None:
        judged = rates(Path(data))
        print(_of_mistakes(judged))
    if found and judged:
        write_section(asked.out, _section(found, judged), WRITER)


def _store(n_days: int) -> list[Figures]:
    found = []
    with tempfile.TemporaryDirectory(prefix="gridtide-signals-") as folder:
        url = f"sqlite:///{folder}/gridtide.db"
        found.append(measure(url, n_days, Path(folder)))
        print(found[-1], flush=True)
    binaries = server_binaries()
    if binaries is not None:
        with tempfile.TemporaryDirectory() as folder, running_postgres(binaries) as url:
            found.append(measure(url, n_days, Path(folder)))
            print(found[-1], flush=True)
    return found


def _of_store(found: list[Figures]) -> str:
    rows: list[tuple[str, list[str]]] = [
        ("Values on record", [f"{one.n_values:,}".replace(",", " ") for one in found]),
        (
            "Room for a value with its indices [byte]",
            [_two(one.bytes_per_value, one.bytes_per_value_before, 0) for one in found],
        ),
        (
            "`signals_frame`, 4 days of all [s]",
            [_two(one.frame_s, one.frame_before_s, 3) for one in found],
        ),
        ("`coverage` [s]", [_two(one.coverage_s, one.coverage_before_s, 3) for one in found]),
        ("`latest_values`, 4 days of one signal [s]", [f"{one.latest_s:.4f}" for one in found]),
        (
            "Prices of the next day for 20 sites stored and judged [s]",
            [f"{one.insert_prices_s:.2f}" for one in found],
        ),
        (
            "Four forecasts of 96 h for 20 sites stored and judged [s]",
            [f"{one.insert_forecasts_s:.1f}" for one in found],
        ),
        (
            "Superseded more than 92 days ago; of these removed",
            [
                f"{one.compacted.superseded:,}; {one.compacted.removed:,}".replace(",", " ")
                for one in found
            ],
        ),
        ("Thinning all of it [s]", [f"{one.compact_s:.0f}" for one in found]),
    ]
    heading = "| | " + " | ".join(one.database for one in found) + " |"
    lines = [heading, "|---|" + "---:|" * len(found)]
    lines += [f"| {label} | " + " | ".join(cells) + " |" for label, cells in rows]
    return "\n".join(lines)


def _two(now: float, before: float, digits: int) -> str:
    return (
        f"{now:.{digits}f}, before {before:.{digits}f} (1/{before / now:.0f})"
        if before >= 2 * now
        else f"{now:.{digits}f}, before {before:.{digits}f}"
    )


def _of_mistakes(judged: list[Rates]) -> str:
    mistakes = list(dict.fromkeys(name for one in judged for name in one.found))
    lines = ["| Signal | Days judged | Flagged, though right | " + " | ".join(mistakes) + " |"]
    lines.append("|---|---:|---:|" + "---:|" * len(mistakes))
    for one in judged:
        shares = [
            "–" if name not in one.found else f"{100 * one.found[name] / one.n_mistaken:.0f} %"
            for name in mistakes
        ]
        lines.append(
            f"| {one.signal} | {one.n_days} | {one.n_flagged} | " + " | ".join(shares) + " |"
        )
    n_days, n_flagged = sum(one.n_days for one in judged), sum(one.n_flagged for one in judged)
    lines.append(
        f"\n{n_flagged} of {n_days} real days are flagged: {100 * n_flagged / n_days:.2f} %."
    )
    return "\n".join(lines)


def _section(found: list[Figures], judged: list[Rates]) -> str:
    load = os.getloadavg()[0]
    return f"""## A year of signals, and mistakes in them

Twenty sites, quarter hours, 365 days: prices of the next day once a day, forecasts of carbon intensity, PV, wind
and base load for 96 hours every midnight, and carbon intensity for the next six hours every hour.

```
python -m benchmarks.signal_store      # with GRIDTIDE_DATA; a quarter of an hour
```

{_of_store(found)}

"Before" is the statement and, on SQLite, the layout that were there before: a window function over everything that
starts in the window. It goes through all there is, so it grows with every year; what is there now does not.
Medians of ten instants of the year; other work ran on the two cores (load {load:.1f}): trust the ratios.

Each day of two years of real series is judged by the four weeks before it, as it came; and every 28th day once more
with a mistake made in it. Prices and carbon intensities by CarbonCast and market operators, hourly.

{_of_mistakes(judged)}

Days that were flagged though right came with a shape unlike any of the four weeks before. A shift of one hour is
told from weather only where signals come for several days, or overlap with what was known: then it is found always.
Measured {datetime.now(UTC):%Y-%m-%d}.
"""


if __name__ == "__main__":
    main()
