"""``python -m benchmarks.signal_store``: a year of signals, and mistakes in real ones."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
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
    parser.add_argument("--days", type=int, nargs="+", default=[91, 365])
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


def _store(all_days: list[int]) -> list[Figures]:
    found = []
    for n_days in all_days:
        with tempfile.TemporaryDirectory(prefix="gridtide-signals-") as folder:
            url = f"sqlite:///{folder}/gridtide.db"
            found.append(measure(url, n_days, Path(folder)))
            print(found[-1], flush=True)
    binaries = server_binaries()
    if binaries is None:
        return found
    for n_days in all_days:
        with tempfile.TemporaryDirectory() as folder, running_postgres(binaries) as url:
            found.append(measure(url, n_days, Path(folder)))
            print(found[-1], flush=True)
    return found


_ROWS: dict[str, Callable[[Figures], str]] = {
    "Values on record": lambda one: _grouped(one.n_values),
    "Room for one with its indices [byte]": lambda one: _two(
        one.bytes_per_value, one.bytes_per_value_before, 0
    ),
    "`signals_frame`, 4 days of all [s]": lambda one: _two(one.frame_s, one.frame_before_s, 2),
    "`coverage` [s]": lambda one: _two(one.coverage_s, one.coverage_before_s, 3),
    "`latest_values`, 4 days of one [s]": lambda one: f"{one.latest_s:.3f}",
    "Prices of a day for 20 sites stored and judged [s]": lambda one: f"{one.insert_prices_s:.2f}",
    "Four forecasts of 96 h for 20 sites stored and judged [s]": lambda one: (
        f"{one.insert_forecasts_s:.1f}"
    ),
    "Superseded, of these removed": lambda one: (
        f"{_grouped(one.compacted.superseded)}, {_grouped(one.compacted.removed)}"
    ),
    "Thinning [s]": lambda one: f"{one.compact_s:.0f}",
}


def _of_store(found: list[Figures]) -> str:
    heading = "| | " + " | ".join(f"{one.database}, {one.n_days} days" for one in found) + " |"
    lines = [heading, "|---|" + "---:|" * len(found)]
    for label, cell in _ROWS.items():
        lines.append(f"| {label} | " + " | ".join(map(cell, found)) + " |")
    return "\n".join(lines)


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _two(now: float, before: float, digits: int) -> str:
    return f"{now:.{digits}f}, before {before:.{digits}f} (× {before / now:.1f})"


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
    days = " ".join(str(n_days) for n_days in sorted({one.n_days for one in found}))
    return _TEXT.format(
        days=days,
        scope="" if max(one.n_days for one in found) >= _YEAR_DAYS else _NO_YEAR,
        store=_of_store(found),
        mistakes=_of_mistakes(judged),
        load=os.getloadavg()[0],
        today=datetime.now(UTC),
    )


_YEAR_DAYS = 365
_NO_YEAR = " A whole year, which is\nmeasured where no days are named, was not run for this table."
_TEXT = """## Years of signals, and mistakes in them

Twenty sites, quarter hours: prices of the next day once a day, forecasts of carbon intensity, PV,
wind and base load for 96 hours every midnight, carbon intensity for the next six hours every hour.

```
python -m benchmarks.signal_store --days {days}      # with GRIDTIDE_DATA
```

{store}

"Before" is the statement that was there before, on SQLite with its layout: a window function over
everything that starts in the window, wherever it lies. It goes through all there is and grows with
it; what is there now does not. Best of five instants; of SQLite it is time of the processor, of
PostgreSQL by the clock, on two cores with other work on them (load {load:.1f}): trust the ratios.
Thinned is what was superseded more than 14 days before the end, to every sixth hour.{scope}

Each day of two years of real series is judged by the four weeks before it, as it came; and every
28th day once more with a mistake made in it. Series of CarbonCast and of market operators, hourly.

{mistakes}

Days that are flagged though right have a shape or a size unlike any of the four weeks before. Some
hours late is told from weather only where a signal has a daily shape, or comes beside values of
today that are known: then it is found whatever the signal. 9999 is an ordinary value of wind and
sun of a zone [MW], and 12 hours without sun are a night.

Measured {today:%Y-%m-%d}.
"""


if __name__ == "__main__":
    main()
