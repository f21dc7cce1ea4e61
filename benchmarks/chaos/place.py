"""Three real clusters behind gates, a dispatcher, and how each of them is made to fail."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import ssl
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from benchmarks.chaos.day import POOL, START
from benchmarks.chaos.faults import KUBERNETES, SLURM, Fault, Kill
from benchmarks.real_clusters import running_kubernetes, running_slurm
from scheduler.db.session import make_engine, make_session_factory
from scheduler.dispatcher import run_dispatcher
from scheduler.main import outside_of
from scheduler.settings import Settings
from scheduler.timekeeping import accelerated_now
from tests.peers import slurm
from tests.peers.gate import Gate, Trouble
from tests.peers.processes import parent_of, pids_where

LOCAL = "local"
GPUS = 8
_SLURM_NODES = 2
_NODE_TIMEOUT_S = 9
_SOON = {"settle_seconds": 5, "lost_after_seconds": 10}
_DISPATCH_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Part:
    """Something that can be killed, and started again."""

    name: str
    kill: Callable[[], None]
    start: Callable[[], None]


Parts = Mapping[Kill, tuple[Part, ...]]


@dataclass(frozen=True, slots=True)
class Started:
    """A cluster: what the fleet says of it, its parts, the gate before it, and its operator's work.

    ``see_to_it`` is done from time to time.
    """

    spec: dict[str, Any]
    parts: Parts
    gate: Gate
    see_to_it: Callable[[], None]


def merged(*all_parts: Parts) -> Parts:
    """Put together what can be killed."""
    return {kill: some for parts in all_parts for kill, some in parts.items()}


class Troubles:
    """Faults that last. Each part has its faults one at a time, from whatever thread."""

    def __init__(self, parts: Parts, gates: Mapping[str, Gate]) -> None:
        self._parts = parts
        self._gates = gates
        self._count: Counter[str] = Counter()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def can_be(self, what: Kill | Trouble, where: str) -> bool:
        """Whether there is what it happens to."""
        return where in self._gates if isinstance(what, Trouble) else what in self._parts

    def begin(self, fault: Fault) -> None:
        """Have it happen; what is down already stays so until every such fault is over."""
        if isinstance(fault.what, Trouble):
            self._gates[fault.where].begin(fault.what)
            return
        part = self._part(fault.what, fault.number)
        with self._locks[part.name]:
            self._count[part.name] += 1
            if self._count[part.name] == 1:
                part.kill()

    def end(self, fault: Fault) -> None:
        """Have it be over."""
        if isinstance(fault.what, Trouble):
            self._gates[fault.where].end(fault.what)
            return
        part = self._part(fault.what, fault.number)
        with self._locks[part.name]:
            self._count[part.name] -= 1
            if self._count[part.name] == 0:
                part.start()

    def _part(self, what: Kill, number: int) -> Part:
        parts = self._parts[what]
        return parts[number % len(parts)]


class Dispatcher:
    """A dispatcher in a process of its own."""

    def __init__(self, settings: Settings, factor: float, began_s: float) -> None:
        self._arguments = settings, factor, began_s
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__])
        self._process: BaseProcess | None = None

    def start(self) -> None:
        """Start it, at first or again."""
        self._process = self._context.Process(target=_dispatch, args=self._arguments)
        self._process.start()

    def kill(self) -> None:
        """End it as kill -9 does."""
        if self._process is not None:
            self._process.kill()
            self._process.join()


def _dispatch(settings: Settings, factor: float, began_s: float) -> None:
    logging.basicConfig(filename=settings.state_dir / "dispatcher.log", level=logging.INFO)
    now = accelerated_now(START, factor, began_s)
    sessions = make_session_factory(make_engine(settings.resolved_database_url))
    outside = outside_of(settings, now)
    run_dispatcher(sessions, outside, now, threading.Event(), _DISPATCH_EVERY_S)


def local_parts(state: Path) -> Parts:
    """Supervisors of local jobs: the newest that has another behind it is killed.

    Where both are killed the end of the job is not known, which is no fault to recover from.
    """
    folder = os.fsencode(state)

    def kill() -> None:
        mark = b"connectors.clusters.local.supervisor"
        pids = pids_where("cmdline", lambda said: mark in said and folder in said)
        with suppress(FileNotFoundError, ProcessLookupError):
            supervisors = [pid for pid in pids if parent_of(pid) in pids]
            for pid in supervisors[-1:]:
                os.kill(pid, signal.SIGKILL)

    return {Kill.SUPERVISOR: (Part("supervisor", kill, lambda: None),)}


@contextmanager
def slurm_cluster(folder: Path) -> Iterator[Started]:
    """Start a Slurm and a gate before it.

    A slurmctld that crashes has forgotten the last five seconds. Nodes tell it what they run only
    after a minute, and a job whose number it gives again has its node drained: its operator has
    them tell at once, and takes such nodes back.
    """
    gpus = GPUS // _SLURM_NODES
    with running_slurm(folder, POOL, _SLURM_NODES, gpus, _NODE_TIMEOUT_S) as (running, spec):
        gate = Gate(running.rest_port)
        gate.start()
        reached = {"url": f"http://127.0.0.1:{gate.port}", **_SOON}
        try:
            yield Started(spec | reached, _slurm_parts(running), gate, running.operate)
        finally:
            gate.stop()


def _slurm_parts(running: slurm.Slurm) -> Parts:
    def daemon(name: str, start: Callable[[], None]) -> Part:
        return Part(name, partial(running.kill, name), start)

    starts = {node: partial(running.start_node, node) for node in running.nodes}
    return {
        Kill.SLURMCTLD: (daemon("slurmctld", running.start_controller),),
        Kill.SLURMRESTD: (daemon("slurmrestd", running.start_rest),),
        Kill.SLURMD: tuple(daemon(f"slurmd-{node}", start) for node, start in starts.items()),
        Kill.SLURM_NODE: tuple(
            Part(f"slurmd-{node}", partial(running.lose_node, node), start)
            for node, start in starts.items()
        ),
    }


@contextmanager
def kubernetes_cluster(folder: Path) -> Iterator[Started]:
    """Start a Kubernetes and a gate before it."""
    with running_kubernetes(folder, GPUS) as running:
        plane, node = running.plane, running.node
        served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        served.load_cert_chain(plane.certificate, plane.certificate_key)
        gate = Gate(plane.port, served, plane.tls())
        gate.start()
        daemons = {
            Kill.API_SERVER: "kube-apiserver",
            Kill.CONTROLLERS: "kube-controller-manager",
            Kill.SCHEDULER: "kube-scheduler",
        }
        parts = {
            kill: (Part(name, partial(plane.kill, name), partial(plane.start, name)),)
            for kill, name in daemons.items()
        } | {Kill.KUBERNETES_NODE: (Part("node-0", node.lose, node.return_),)}
        try:
            yield Started(running.spec(gate.port), parts, gate, lambda: None)
        finally:
            gate.stop()


CLUSTERS = {SLURM: slurm_cluster, KUBERNETES: kubernetes_cluster}
