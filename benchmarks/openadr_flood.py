"""A flood of events of an OpenADR 3 top node, and what it does to polls and to planning.

    python -m benchmarks.openadr_flood [--write]

A top node in a process of its own lists 10,000 events of four kinds at one site, some that overlap
by the hundred, over plain HTTP. Measured is the production code: a poll of the grid side takes them
in, into SQLite, in a process of its own, so that its memory is its own; then a poll when nothing
has changed; then what a worker does about it. ``--write`` puts the figures into RESULTS.md.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import func, select

from benchmarks.section import write_section
from connectors.vpp.openadr3.client import Credentials, Version, Vtn
from connectors.vpp.openadr3.ven import OpenAdrVen, SiteTerms, VenTerms
from scheduler.db.models import GridEvent, PlanningRun, StoredPlan
from scheduler.db.session import make_engine, make_session_factory, transaction
from scheduler.db.upgrade import upgrade
from scheduler.services.grid_side import GridSide
from scheduler.worker import Worker
from tests.connectors.openadr3.vtn import SECRET, TestVtn, event, limit, serving
from tests.services.builders import START
from tests.services.scene import Scene

WRITER = "python -m benchmarks.openadr_flood"
RESULTS = Path(__file__).with_name("RESULTS.md")
COUNTS = (1, 1_000, 10_000)
N_JOBS = 8
KINDS = ("IMPORT_CAPACITY_LIMIT", "SIMPLE", "DISPATCH_SETPOINT", "IMPORT_CAPACITY_SUBSCRIPTION")
COLUMNS = (
    "Events",
    "First poll [s]",
    "Poll without news [s]",
    "Most memory [MB]",
    "Limits on record",
    "Replans queued",
    "Replan [s]",
)


@dataclass(frozen=True, slots=True)
class Took:
    """What polls of so many events took."""

    events: int
    first_s: float
    again_s: float
    most_mb: float
    limits: int
    replans: int
    replan_s: float


def main() -> None:
    """Measure each count in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    spawn = multiprocessing.get_context("spawn")
    found = []
    for count in COUNTS:
        with _vtn_of(count) as base, ProcessPoolExecutor(1, mp_context=spawn) as pool:
            found.append(pool.submit(_measure, count, base).result())
        print(found[-1], flush=True)
    if write:
        write_section(RESULTS, _section(found), WRITER)


@contextmanager
def _vtn_of(count: int) -> Iterator[str]:
    """Serve so many events in a process of its own; give its address."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    server = spawn.Process(target=_serve, args=(count, there), daemon=True)
    server.start()
    try:
        yield here.recv()
    finally:
        here.send(None)
        server.join(20)


def _serve(count: int, pipe: Any) -> None:
    vtn = TestVtn("3.1.0")
    vtn.is_held_to_definition = False
    vtn.events = [_event(number) for number in range(count)]
    with serving(vtn):
        pipe.send(vtn.base)
        pipe.recv()


def _event(number: int) -> dict[str, Any]:
    kind = KINDS[number % len(KINDS)]
    start = START + timedelta(minutes=number % 9_000)
    value = 1 + number % 3 if kind == "SIMPLE" else float(number % 100)
    period = {"start": start.strftime("%Y-%m-%dT%H:%M:%SZ"), "duration": "PT30M"}
    more = {"intervalPeriod": period, "priority": number % 5}
    return event(f"e{number}", limit(value, kind=kind), **more)


def _measure(count: int, base: str) -> Took:
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/flood.db"
        upgrade(url)
        engine = make_engine(url)
        scene = Scene(make_session_factory(engine)).set_up()
        scene.wait(hours=1)
        for number in range(N_JOBS):
            scene.submit(f"job-{number}")
        vtn = Vtn(base, Version.V3_1_0, Credentials("us", SECRET))
        terms = VenTerms("gridtide", (SiteTerms("DE", "N1", 100.0),))
        side = GridSide(scene.sessions, OpenAdrVen(vtn, terms, scene.now), "vpp", scene.now)
        first_s, again_s = _lasted_s(side.poll), _lasted_s(side.poll)
        most_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        with transaction(scene.sessions) as session:
            limits = session.scalar(select(func.count()).select_from(GridEvent)) or 0
            replans = session.scalar(select(func.count()).select_from(PlanningRun)) or 0
        worker = Worker(scene.sessions, scene.now, threading.Event())
        replan_s = _lasted_s(worker.work_once)
        with transaction(scene.sessions) as session:
            if session.scalar(select(func.count()).select_from(StoredPlan)) != 1:
                raise RuntimeError("the replan made no plan")
        engine.dispose()
    return Took(count, first_s, again_s, most_mb, limits, replans, replan_s)


def _lasted_s(do: Any) -> float:
    begun = time.perf_counter()
    do()
    return time.perf_counter() - begun


def _section(found: list[Took]) -> str:
    rows = [
        f"| {it.events:,} | {it.first_s:.1f} | {it.again_s:.1f} | {it.most_mb:.0f} |"
        f" {it.limits:,} | {it.replans} | {it.replan_s:.1f} |"
        for it in found
    ]
    told = (
        "## A flood of events by OpenADR 3",
        "",
        "The top node of the tests lists so many events at one site over plain HTTP, pages of 50,"
        f" on the same machine (`{WRITER}`; written while other work ran on it). A poll reads them"
        " all, settles which holds when, and records what changed in SQLite; the memory is that of"
        f" the whole process. The replan is one of {N_JOBS} jobs over 24 h, its worker started for"
        " it.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{'---:|' * len(COLUMNS)}",
        *rows,
        "",
        "However many events there are, 1,000 limits at most are taken in, those that begin first,"
        " and one replan is queued for all of them.",
    )
    return "\n".join(told)


if __name__ == "__main__":
    main()
