"""What is measured, as a process of its own that can be killed: the loop, or the API."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import uvicorn

from benchmarks.ingestion.senders import sent_at
from connectors.streams.kafka import KafkaCluster, KafkaSource
from connectors.streams.mqtt import MqttBroker, MqttSource
from connectors.types import StreamMessage
from scheduler.db.session import make_engine, make_session_factory
from scheduler.ingest import run_ingest
from scheduler.main import make_app
from scheduler.services.ingestion import Intake
from scheduler.services.ingestion_tidy import Kept
from scheduler.settings import Settings
from scheduler.timekeeping import system_now

KEPT = Kept(readings=timedelta(days=3660))
_SESSION_S = 6.0  # a killed consumer's partitions are given on after this


def packed(delays_s: Sequence[float]) -> bytes:
    """Write delays [s] so that more can be written after them."""
    return struct.pack(f"{len(delays_s)}d", *delays_s)


class Timed:
    """A source that writes down how long each message took until it was acknowledged [s]."""

    def __init__(self, source: MqttSource | KafkaSource, log: Path) -> None:
        self._source = source
        self._log = log.open("ab")
        self.name = source.name
        self.receive = source.receive
        self.backlog = source.backlog
        self.close = source.close

    @property
    def is_connected(self) -> bool:
        """Whether it is."""
        return self._source.is_connected

    async def acknowledge(self, messages: Sequence[StreamMessage]) -> None:
        """Acknowledge, then write it down."""
        await self._source.acknowledge(messages)
        now = time.time()
        self._log.write(packed([now - sent_at(one.body) for one in messages]))
        self._log.flush()


def take_from_broker(url: str, way: str, address: str, log: Path | None, pipe: Connection) -> None:
    """Carry messages from a broker until killed."""
    host, _, port = address.rpartition(":")
    source: MqttSource | KafkaSource | Timed
    if way == "MQTT":
        source = MqttSource(MqttBroker(host, int(port)))
    else:
        source = KafkaSource(KafkaCluster(address, session_s=_SESSION_S))
    if log is not None:
        source = Timed(source, log)
    sessions = make_session_factory(make_engine(url, is_durable=True))
    pipe.send("ready")
    intake = Intake(sessions, system_now, KEPT)
    run_ingest([source], intake, sessions, system_now, threading.Event())


def take_pushed(url: str, address: str, pipe: Connection) -> None:
    """Serve the API until killed."""
    settings = Settings(database_url=url, telemetry_history_days=3660)
    app = make_app(settings, make_session_factory(make_engine(url)), system_now)
    port = int(address.rpartition(":")[2])
    pipe.send("ready")
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")
