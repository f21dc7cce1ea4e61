"""Streams taken in by each way, into each database: rate, delay, and twenty kills.

    python -m benchmarks.ingestion [--only MQTT/SQLite]

The senders, the broker, the database's server and what is measured share this machine. Three
phases for each way and database:

* **Rate.** 60,000 readings are sent as fast as they are taken; from the first sent to the last
  stored and counted.
* **Delay.** 2,500 a second for ten seconds; of each message, from when it was due to be sent until
  the process that stores it has acknowledged it (HTTP: until its sender has the answer).
* **Kills.** A thousand a second, while the process that stores them is killed with SIGKILL twenty
  times, each time up to 0.7 s after it has stored something. Then every number is on record once.

What is measured is the production code: ``run_ingest`` with its sources, and the API. PostgreSQL
runs with fsync, SQLite with ``synchronous=FULL``. The Kafka is librdkafka's mock, not a real one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.ingestion.place import (
    DATABASES,
    KAFKA,
    WAYS,
    Place,
    cpu_s,
    place,
    running_databases,
)
from benchmarks.ingestion.senders import Sending
from benchmarks.ingestion.table import section
from benchmarks.section import write_section

N_FLOOD = 60_000
N_WARM = 500
WARM_S = 0.5
LOGGED_WITHIN_S = 0.5
RATE_PER_S = 2_500.0
DELAY_S = 10.0
N_KILLS = 20
KILL_RATE_PER_S = 1_000.0
_KEPT = Path("out/ingestion.json")
_RESULTS = Path(__file__).parents[1] / "RESULTS.md"
WRITER = "python -m benchmarks.ingestion"


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of one way into one database."""

    way: str
    database: str
    rate_per_s: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    worst_ms: float
    kills: int
    sent: int
    lost: int
    doubled: int
    load: float  # of the machine when it began
    day: str


def warm_up(there: Place) -> int:
    """See that what takes messages in listens; return how many are stored then.

    What is published before a broker knows the session is nobody's: it is sent until it comes.
    """
    first = there.n_stored()
    while there.n_stored() < first + N_WARM:
        with there.sending(Sending(first, N_WARM)):
            time.sleep(WARM_S)
    return first + N_WARM


def measure_rate(there: Place) -> tuple[float, float]:
    """Return messages stored in a second, all sent at once, and the CPU of each [µs]."""
    with there.taking() as process:
        first = warm_up(there)
        began, cpu_began_s = time.monotonic(), cpu_s(process)
        with there.sending(Sending(first, N_FLOOD)):
            there.wait_for(first + N_FLOOD)
            took_s, used_s = time.monotonic() - began, cpu_s(process) - cpu_began_s
    return N_FLOOD / took_s, 1e6 * used_s / N_FLOOD


def measure_delay(there: Place) -> np.ndarray:
    """Return the delay of each message at the lower rate [s]."""
    log = there.folder / "delays"
    log.unlink(missing_ok=True)
    n = int(RATE_PER_S * DELAY_S)
    with there.taking(log):
        first = warm_up(there)
        with there.sending(Sending(first, n, RATE_PER_S), log):
            there.wait_for(first + n)
        time.sleep(LOGGED_WITHIN_S)
    delays = np.frombuffer(log.read_bytes())
    return delays[-n:]


def measure_kills(there: Place, kills: int) -> int:
    """Send while it is killed; return how many were sent. All must be taken in the end."""
    instants = random.Random(7)
    first = there.n_stored()
    n = int(KILL_RATE_PER_S * kills)
    with there.sending(Sending(first, n, KILL_RATE_PER_S)):
        for _ in range(kills):
            with there.taking():
                if there.n_stored() < first + n:
                    there.wait_for_more()
                time.sleep(instants.uniform(0, 0.7))
        with there.taking():
            there.wait_for(first + n)
    return n


def measure(there: Place, database: str, kills: int) -> Measured:
    """Go through the three phases."""
    load = os.getloadavg()[0]
    rate, cpu_us = measure_rate(there)
    delays_ms = 1000 * measure_delay(there)
    # A killed consumer's partitions are given on after seconds: half as many, in each database.
    n_kills = kills // 2 if there.way == KAFKA else kills
    n = measure_kills(there, n_kills)
    found, sent = there.stored(), there.n_stored()
    p50, p99 = np.percentile(delays_ms, [50, 99])
    expected = 2 * N_WARM + N_FLOOD + int(RATE_PER_S * DELAY_S) + n
    lost = expected - found.distinct
    doubled = (found.numbers - found.distinct) + max(0, sent - expected) + found.dead
    if not lost and found.total != expected * (expected - 1) / 2:
        raise AssertionError(f"{found} is not each number below {expected} once")
    return Measured(
        there.way,
        database,
        rate,
        cpu_us,
        float(p50),
        float(p99),
        float(delays_ms.max()),
        n_kills,
        n,
        lost,
        doubled,
        load,
        f"{datetime.now(UTC):%Y-%m-%d}",
    )


def main() -> None:
    """Measure, print, and write the section of RESULTS.md from all that is kept."""
    parser = argparse.ArgumentParser(description="Rate, delay and kills of streams.")
    parser.add_argument("--only", action="append", help="WAY/DATABASE: measure this row alone.")
    parser.add_argument("--kills", type=int, default=N_KILLS)
    parser.add_argument("--keep", type=Path, default=_KEPT, help="Rows, as they are measured.")
    parser.add_argument("--out", type=Path, default=_RESULTS)
    arguments = parser.parse_args()
    rows = [(database, way) for database in DATABASES for way in WAYS]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="gridtide-ingestion-")))
        found = stack.enter_context(running_databases(folder))
        for database, way in rows:
            if database in found and _is_wanted(arguments.only, way, database):
                with place(way, database, found, folder) as there:
                    measured = measure(there, database, arguments.kills)
                print(json.dumps(asdict(measured)), flush=True)
                keep(arguments.keep, measured)
    text = section([row for name in rows if (row := kept(arguments.keep).get("/".join(name)))])
    print(text)
    write_section(arguments.out, text, WRITER)


def kept(path: Path) -> dict[str, dict[str, Any]]:
    """Return the rows that were measured, by database and way."""
    found: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
    return found


def keep(path: Path, measured: Measured) -> None:
    """Put a row in the place of the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    row = {f"{measured.database}/{measured.way}": asdict(measured)}
    path.write_text(json.dumps(kept(path) | row))


def _is_wanted(only: list[str] | None, way: str, database: str) -> bool:
    return only is None or f"{way}/{database}" in only


if __name__ == "__main__":
    main()
