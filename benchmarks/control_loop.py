"""Deadlines of control loops, and how soon they and the batteries react.

``python -m benchmarks.control_loop`` runs ``gridtide control`` with SQLite for twenty sites at 2 s,
each with a SunSpec battery and meter behind a real Modbus server in one other process, and writes
its section of RESULTS.md. Half-way the database is locked for a while: no tick may be late for it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.section import write_section
from benchmarks.wording import table
from connectors.storage.modbus.battery import ModbusBattery, Plate
from connectors.storage.modbus.wire import ModbusAddress
from scheduler.cli.database import upgraded_sessions
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.fleet import replace_fleet
from scheduler.services.site_records import standings
from scheduler.settings import Settings
from scheduler.specs import FleetSpec
from scheduler.timekeeping import system_now
from tests.peers.processes import free_ports
from tests.peers.sunspec import start_plants, turn
from tests.peers.sunspec_plant import Knob

RESULTS = Path(__file__).parent / "RESULTS.md"
WRITER = "python -m benchmarks.control_loop"
EVERY_S, HOLD_S, SILENT_S = 2.0, 10.0, 10.0
LIMIT_KW, LOAD_KW, NEEDED_KW = 100.0, 60.0, -30.0
LOCKED_S = 10.0
GIVE_UP_S = 60.0
LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Ticks of all sites, those that were missed, and the processor time of the process [s]."""

    sites: int
    seconds: float
    ticks: int
    missed: int
    processor_s: float


def fleet(ports: list[int]) -> FleetSpec:
    """Return a fleet with a site for each port."""
    return FleetSpec.model_validate(
        {"sites": [_site(f"site-{index}", port) for index, port in enumerate(ports)]}
    )


def _site(name: str, port: int) -> dict[str, Any]:
    where = {"kind": "modbus", "host": "127.0.0.1", "port": port}
    battery = {"name": "bess", "power_kw": 50, "capacity_kwh": 100, "connection": where}
    control = {
        "every_s": EVERY_S,
        "hold_s": HOLD_S,
        "meter_silent_s": SILENT_S,
        "meter": where | {"unit": 2},
    }
    return {
        "name": name,
        "time_zone": "UTC",
        "grid": {"import_limit_kw": LIMIT_KW},
        "pools": [],
        "batteries": [battery],
        "control": control,
    }


@contextmanager
def controlling(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Run the process, and end it with the block."""
    environment = {**os.environ, "GRIDTIDE_STATE_DIR": str(settings.state_dir)}
    with (settings.state_dir / "control.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "scheduler", "control"], env=environment, stderr=log
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait()


def counted(sessions: SessionFactory) -> tuple[int, int]:
    """Ticks of all sites that are on record, and those missed."""
    with transaction(sessions) as session:
        rows = standings(session)
        return sum(row.ticks for row in rows), sum(row.missed for row in rows)


def measure_deadlines(
    settings: Settings, sessions: SessionFactory, process: subprocess.Popen[bytes], run_s: float
) -> Deadlines:
    """Count ticks over ``run_s``; the database is locked for a part of it."""
    wait_for(lambda: counted(sessions)[0] > 0, "the first record")
    tell(f"deadlines over {run_s:g} s")
    ticks, missed = counted(sessions)
    used_s, began_s = _processor_s(process.pid), time.monotonic()
    time.sleep(run_s / 2)
    with sqlite3.connect(settings.state_dir / "gridtide.db") as other:
        other.execute("BEGIN EXCLUSIVE")
        time.sleep(LOCKED_S)
        other.rollback()
    time.sleep(max(0.0, began_s + run_s - time.monotonic()))
    ticks_after, missed_after = counted(sessions)
    with transaction(sessions) as session:
        sites = len(standings(session))
    return Deadlines(
        sites,
        time.monotonic() - began_s,
        ticks_after - ticks,
        missed_after - missed,
        _processor_s(process.pid) - used_s,
    )


def tell(what: str) -> None:
    """Say what is measured now."""
    print(what, file=sys.stderr, flush=True)


def wait_for(is_so: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    until_s = time.monotonic() + GIVE_UP_S
    while not is_so():
        if time.monotonic() > until_s:
            raise TimeoutError(f"not within {GIVE_UP_S:g} s: {what}")
        time.sleep(0.2)


async def took_s(port: int, power_kw: float, begin: Callable[[], object]) -> float:
    """Return how long it is from what ``begin`` does until the battery is at a power [s]."""
    plate = Plate(50.0, 50.0, 100.0)
    battery = ModbusBattery("bess", ModbusAddress("127.0.0.1", port), plate, system_now)
    began_s = time.monotonic()
    begin()
    try:
        while abs((await battery.telemetry()).power_kw - power_kw) > 0.1:
            if time.monotonic() - began_s > GIVE_UP_S:
                raise TimeoutError(f"the battery is not at {power_kw:g} kW")
            await asyncio.sleep(LOOK_S)
        return time.monotonic() - began_s
    finally:
        await battery.close()


def reactions(port: int, times: int) -> dict[str, list[float]]:
    """Measure what one site does about a load that leaps and a meter that goes and comes."""
    steps: tuple[tuple[str, float, Knob, int], ...] = (
        (
            f"load leaps {-NEEDED_KW:g} kW beyond the limit: until the battery makes up for it",
            NEEDED_KW,
            Knob.LOAD_W,
            round((LIMIT_KW - NEEDED_KW) * 1000),
        ),
        (
            f"meter goes silent (limit {SILENT_S:g} s): until the battery rests",
            0.0,
            Knob.METER_GONE,
            1,
        ),
        ("meter comes back: until the battery helps again", NEEDED_KW, Knob.METER_GONE, 0),
        ("load is gone: until the battery rests", 0.0, Knob.LOAD_W, round(LOAD_KW * 1000)),
    )
    found: dict[str, list[float]] = {name: [] for name, *_ in steps}
    for _ in range(times):
        for name, power_kw, knob, value in steps:
            tell(name)
            time.sleep(0.7)  # not always in the same part of the period
            begin = _turning(port, knob, value)
            found[name].append(asyncio.run(took_s(port, power_kw, begin)))
    return found


def _turning(port: int, knob: Knob, value: int) -> Callable[[], None]:
    return lambda: turn(port, knob, value)


def loop_lost(
    settings: Settings, port: int, process: subprocess.Popen[bytes]
) -> dict[str, list[float]]:
    """Kill the process while the battery helps, and start another."""
    tell("the loop is killed")
    turn(port, Knob.LOAD_W, round((LIMIT_KW - NEEDED_KW) * 1000))
    asyncio.run(took_s(port, NEEDED_KW, lambda: None))
    killed = asyncio.run(took_s(port, 0.0, process.kill))
    process.wait()
    with controlling(settings):
        taken = asyncio.run(took_s(port, NEEDED_KW, lambda: None))
    return {
        f"loop is killed (setpoints hold {HOLD_S:g} s): until the battery rests": [killed],
        "another is started: until the battery helps, with its start and the lease of 15 s": [
            taken
        ],
    }


def section(deadlines: Deadlines, found: dict[str, list[float]]) -> str:
    """Return what is written."""
    share = deadlines.missed / max(1, deadlines.ticks)
    rows = [
        (name, str(len(times)), f"{statistics.median(times):.1f}", f"{max(times):.1f}")
        for name, times in found.items()
    ]
    load = " / ".join(f"{one:.1f}" for one in os.getloadavg())
    setting = (
        f"`{WRITER}`, {datetime.now(UTC):%Y-%m-%d}: {deadlines.sites} sites at {EVERY_S:g} s on"
        f" {os.cpu_count()} cores, Modbus TCP to a SunSpec battery and a meter of each, SQLite, the"
        f" plants in one other process on the same machine. Load of the machine in the last"
        f" 1 / 5 / 15 minutes: {load}. The database was locked for {LOCKED_S:g} s of the run."
    )
    return f"""## Control loops of twenty sites

{setting}

| Ticks due | missed | share | processor time of the process |
|---|---|---|---|
| {deadlines.ticks} in {deadlines.seconds:.0f} s | {deadlines.missed} | {share:.3%} | \
{deadlines.processor_s / deadlines.seconds:.1%} of one core |

A tick is missed that is not over when the next is due. Goal: below 0.1 %.

{table(("From ... until ...", "times", "median s", "longest s"), rows)}
"""


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    asked = parser.parse_args()
    ports = free_ports(asked.sites)
    plants = start_plants("classic", ports)
    try:
        for port in ports:
            turn(port, Knob.IN_REAL_TIME, 1)
            turn(port, Knob.LOAD_W, round(LOAD_KW * 1000))
        with TemporaryDirectory() as folder:
            settings = Settings(state_dir=Path(folder), database_url=None)
            sessions = upgraded_sessions(settings)
            with transaction(sessions) as session:
                replace_fleet(session, fleet(ports), "benchmark", system_now())
            with controlling(settings) as process:
                deadlines = measure_deadlines(settings, sessions, process, asked.seconds)
                found = reactions(ports[0], asked.times)
                found |= loop_lost(settings, ports[0], process)
            sessions.kw["bind"].dispose()
    finally:
        plants.kill()
        plants.wait()
    text = section(deadlines, found)
    print(text)
    if asked.write:
        write_section(RESULTS, text, WRITER)


if __name__ == "__main__":
    main()
