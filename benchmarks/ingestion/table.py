"""The section of RESULTS.md on streams."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

GOAL_PER_S = 5_000.0
GOAL_P99_MS = 250.0
_HEAD = (
    "| Way | Database | Stored per second | CPU a message | Delay p50 | p99 | worst | Kills (-9)"
    " | Sent meanwhile | Lost | Doubled | Load before | Day |\n"
    "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|"
)
_TEXT = """## Streams

`python -m benchmarks.ingestion`, {cpus} cores, Python {python}. Senders, broker, database and
what is measured share the machine with whatever else it did: *load before* is the average of the
last minute when a row was begun; above {cpus}, others waited for the cores as well.

{table}

Goals: {goal_per_s:,.0f} a second, and a p99 below {goal_ms:.0f} ms at half of that, on two cores
that do nothing else. {missed}

*Stored per second*: {flood} readings, one message each (HTTP: 500 in a request), sent as fast as
they are taken, from the first sent to the last committed, de-duplicated and counted. *CPU a
message*: of the process that takes them in meanwhile, whatever else the machine does. *Delay*: at
2,500 a second for ten seconds, from when a message is due to be sent until it is acknowledged
after its commit (HTTP: until its sender has the answer). *Kills*: while a thousand a second are
sent, the process that stores them is killed with SIGKILL, up to 0.7 s after it has stored
something, and started again; in the end each number is on record once, and counted once.
PostgreSQL with fsync, SQLite with `synchronous=FULL`. Mosquitto is a real one. The Kafka is
librdkafka's mock cluster: it speaks the protocol, and is no measure of a real one.
"""


def section(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write what was measured."""
    table = "\n".join((_HEAD, *map(_row, rows)))
    return _TEXT.format(
        cpus=os.cpu_count(),
        python=platform.python_version(),
        table=table,
        flood="60,000",
        goal_per_s=GOAL_PER_S,
        goal_ms=GOAL_P99_MS,
        missed=_missed(rows),
    )


def _missed(rows: Sequence[Mapping[str, Any]]) -> str:
    """Name the rows that miss a goal."""
    slow = [_name(one) for one in rows if one["rate_per_s"] < GOAL_PER_S]
    late = [_name(one) for one in rows if one["p99_ms"] >= GOAL_P99_MS]
    told = [("the rate", slow), ("the delay", late)]
    return " ".join(f"{what.capitalize()} is missed by {', '.join(by)}." for what, by in told if by)


def _name(one: Mapping[str, Any]) -> str:
    return f"{one['way']} with {one['database']} (load {one['load']:.1f})"


def _row(one: Mapping[str, Any]) -> str:
    cells = (
        one["way"],
        one["database"],
        f"{one['rate_per_s']:,.0f}",
        f"{one['cpu_us']:.0f} µs",
        *(f"{one[name]:.0f} ms" for name in ("p50_ms", "p99_ms", "worst_ms")),
        one["kills"],
        f"{one['sent']:,}",
        one["lost"],
        one["doubled"],
        f"{one['load']:.1f}",
        one["day"],
    )
    return f"| {' | '.join(map(str, cells))} |"
