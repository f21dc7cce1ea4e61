"""A worker or a dispatcher as a process of its own, to be killed. Its clock stands still."""

from __future__ import annotations

import threading
import time
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path

from connectors.clusters.local.cluster import LocalCluster, LocalPool
from optimizer import OnProgress, Plan, Progress
from scheduler.db.session import make_engine, make_session_factory
from scheduler.dispatcher import run_dispatcher
from scheduler.services.outside import Outside
from scheduler.solving import SolveTask, solve_exactly
from scheduler.worker import Worker, WorkerTiming

SOLVE_S = 3.0
TIMING = WorkerTiming(poll_s=0.1, renew_s=0.2, lease_s=2.0)


def solve_slowly(task: SolveTask, on_progress: OnProgress) -> Plan:
    """Solve after ``SOLVE_S`` of saying that one is at it."""
    began = time.monotonic()
    while time.monotonic() - began < SOLVE_S:
        on_progress(Progress("solve", time.monotonic() - began))
        time.sleep(0.05)
    return solve_exactly(task, on_progress)


def cluster(folder: Path) -> LocalCluster:
    """Four GPUs of this machine."""
    return LocalCluster("DE", folder, [LocalPool("a100", 4)])


def work(url: str, at: datetime, pipe: Connection) -> None:
    """Work until killed; says so when it begins."""
    sessions = make_session_factory(make_engine(url))
    pipe.send("ready")
    stop = threading.Event()
    Worker(sessions, lambda: at, stop, timing=TIMING, method=solve_slowly).run()


def carry_out(url: str, at: datetime, folder: Path, pipe: Connection) -> None:
    """Dispatch until killed; says so when it begins."""
    sessions = make_session_factory(make_engine(url))
    outside = Outside({"DE": cluster(folder)})
    pipe.send("ready")
    run_dispatcher(sessions, lambda _: outside, lambda: at, threading.Event(), every_s=0.01)
