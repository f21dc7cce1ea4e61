"""Databases, brokers, senders and takers of one measurement."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from uuid import uuid4

import httpx
from sqlalchemy import create_engine, func, make_url, select, text

from benchmarks.ingestion import senders, taking
from benchmarks.ingestion.senders import Sending
from scheduler.db.models import DeadLetter, Role, StreamState, TelemetryValue
from scheduler.db.session import SessionFactory, make_engine, make_session_factory, transaction
from scheduler.db.upgrade import upgrade
from scheduler.services import keys
from scheduler.services.fleet import replace_fleet
from scheduler.specs import FleetSpec
from scheduler.timekeeping import system_now
from tests.fixtures.postgres import running_postgres, server_binaries
from tests.peers import kafka_mock, mosquitto
from tests.peers.processes import free_ports

MQTT, KAFKA, HTTP = "MQTT", "Kafka", "HTTP"
WAYS = (MQTT, KAFKA, HTTP)
SQLITE, POSTGRES = "SQLite", "PostgreSQL"
DATABASES = (POSTGRES, SQLITE)
_LOOK_EVERY_S = 0.02
_PATIENCE_S = 120.0
_FLEET = FleetSpec.model_validate(
    {
        "sites": [
            {
                "name": "DE",
                "time_zone": "Europe/Berlin",
                "grid": {"import_limit_kw": 100},
                "pools": [{"name": "gpus", "gpus": 8}],
                "batteries": [{"name": "pack", "power_kw": 10, "capacity_kwh": 20}],
            }
        ]
    }
)
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["benchmarks.ingestion.taking"])


@dataclass(frozen=True, slots=True)
class Stored:
    """What is on record."""

    numbers: int  # readings
    distinct: int  # numbers among them
    total: float  # of the numbers
    counted: int  # messages that were counted as stored
    dead: int


@dataclass
class Place:
    """One way in, into one database."""

    way: str
    url: str
    address: str
    key: str
    folder: Path

    def __post_init__(self) -> None:
        self.sessions: SessionFactory = make_session_factory(make_engine(self.url))

    def n_stored(self) -> int:
        """How many messages were counted as stored."""
        with transaction(self.sessions) as session:
            return int(session.scalar(select(func.sum(StreamState.stored))) or 0)

    def stored(self) -> Stored:
        """Everything that is on record."""
        value = TelemetryValue.value
        with transaction(self.sessions) as session:
            one = select(func.count(), func.count(value.distinct()), func.sum(value))
            numbers, distinct, total = session.execute(one).one()
            dead = session.scalar(select(func.count()).select_from(DeadLetter)) or 0
        return Stored(numbers, distinct, float(total or 0.0), self.n_stored(), dead)

    def wait_for(self, n: int) -> None:
        """Wait until so many are stored."""
        self._wait(lambda: self.n_stored() >= n, f"{n} messages are stored")

    def wait_for_more(self) -> None:
        """Wait until one more is stored."""
        before = self.n_stored()
        self._wait(lambda: self.n_stored() > before, "one more is stored")

    @contextmanager
    def taking(self, log: Path | None = None) -> Iterator[BaseProcess]:
        """Run a process that takes messages in; kill it at the end, if it was not before."""
        near_end, far_end = _CONTEXT.Pipe()
        target: Callable[..., None] = taking.take_from_broker
        arguments: tuple[object, ...] = (self.url, self.way, self.address, log, far_end)
        if self.way == HTTP:
            target, arguments = taking.take_pushed, (self.url, self.address, far_end)
        process = _CONTEXT.Process(target=target, args=arguments)
        process.start()
        far_end.close()
        try:
            if near_end.recv() != "ready":
                raise RuntimeError("it did not begin")
            if self.way == HTTP:
                self._wait(self._answers, "the API answers")
            yield process
        finally:
            near_end.close()
            process.kill()
            process.join(20)
            process.close()

    @contextmanager
    def sending(self, sending: Sending, log: Path | None = None) -> Iterator[None]:
        """Run a process that sends, and wait for it at the end."""
        arguments = (self.way, self.address, self.key, sending, log)
        process = _CONTEXT.Process(target=send, args=arguments)
        process.start()
        try:
            yield
            process.join(_PATIENCE_S)
            if process.exitcode != 0:
                raise RuntimeError(f"the sender ended with {process.exitcode}")
        finally:
            process.kill()
            process.join(20)

    def _answers(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://{self.address}/health/live").is_success
        return False

    @staticmethod
    def _wait(is_so: Callable[[], bool], what: str) -> None:
        give_up_at = time.monotonic() + _PATIENCE_S
        while not is_so():
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"not within {_PATIENCE_S:g} s: {what}")
            time.sleep(_LOOK_EVERY_S)


def send(way: str, address: str, key: str, sending: Sending, log: Path | None) -> None:
    """Send, in a process of its own; for HTTP write delays down."""
    if way == MQTT:
        senders.send_mqtt(address, sending)
    elif way == KAFKA:
        senders.send_kafka(address, sending)
    else:
        delays: list[float] = []
        senders.send_http(address, sending, key, delays.append)
        if log is not None:
            log.write_bytes(taking.packed(delays))


def cpu_s(process: BaseProcess) -> float:
    """Return the time a process has spent on processors [s]."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running_databases(folder: Path) -> Iterator[dict[str, str]]:
    """URLs of a SQLite file to copy, and of a PostgreSQL that waits for its disk."""
    template = folder / "template.db"
    upgrade(f"sqlite:///{template}")
    found = {SQLITE: str(template)}
    binaries = server_binaries()
    if binaries is None:
        print("PostgreSQL's server is not installed: it is left out")
        yield found
        return
    with running_postgres(binaries, options=()) as url:
        yield found | {POSTGRES: url}


def fresh_database(kind: str, found: dict[str, str], folder: Path) -> str:
    """Make an empty database with the schema; return its URL."""
    name = f"bench_{uuid4().hex}"
    if kind == SQLITE:
        path = folder / f"{name}.db"
        shutil.copy(found[SQLITE], path)
        return f"sqlite:///{path}"
    admin = create_engine(found[POSTGRES], isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    url = make_url(found[POSTGRES]).set(database=name).render_as_string(hide_password=False)
    upgrade(url)
    return url


@contextmanager
def place(way: str, kind: str, found: dict[str, str], folder: Path) -> Iterator[Place]:
    """Open a fresh database with a fleet and a key, and a fresh broker where there is one."""
    url = fresh_database(kind, found, folder)
    engine = make_engine(url)
    with transaction(make_session_factory(engine)) as session:
        replace_fleet(session, _FLEET, "benchmark", system_now())
        _, key = keys.create_key(session, "benchmark", Role.SENDER, system_now())
    engine.dispose()
    if way == MQTT:
        kept = folder / f"mosquitto-{uuid4().hex}"
        kept.mkdir()
        with mosquitto.running(kept) as broker:
            yield Place(way, url, f"127.0.0.1:{broker.port}", key, folder)
    elif way == KAFKA:
        with kafka_mock.running() as cluster:
            yield Place(way, url, cluster.servers, key, folder)
    else:
        yield Place(way, url, f"127.0.0.1:{free_ports(1)[0]}", key, folder)
