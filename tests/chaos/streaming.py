"""``gridtide ingest`` as a process of its own, to be killed, and readings to send it."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from multiprocessing.connection import Connection

from sqlalchemy import func, select

from connectors.protocols import MessageSource
from connectors.streams.kafka import KafkaCluster, KafkaSource
from connectors.streams.mqtt import MqttBroker, MqttSource
from connectors.types import StreamMessage
from scheduler.db.models import DeadLetter, StreamState, TelemetryValue
from scheduler.db.session import SessionFactory, make_engine, make_session_factory, transaction
from scheduler.ingest import run_ingest
from scheduler.services.ingestion import Intake

Broker = MqttBroker | KafkaCluster


def source_of(broker: Broker) -> MessageSource:
    """Return the source that listens to a broker."""
    return MqttSource(broker) if isinstance(broker, MqttBroker) else KafkaSource(broker)


def ingest(url: str, broker: Broker, at: datetime, pipe: Connection) -> None:
    """Carry messages until killed; says so when it begins."""
    _ingest(url, source_of(broker), at, pipe)


def ingest_and_die(url: str, broker: Broker, at: datetime, pipe: Connection) -> None:
    """Do the same, and die when a batch is stored that nobody has acknowledged."""
    source = source_of(broker)

    async def deadly(_messages: Sequence[StreamMessage]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    source.acknowledge = deadly  # type: ignore[method-assign]
    _ingest(url, source, at, pipe)


def _ingest(url: str, source: MessageSource, at: datetime, pipe: Connection) -> None:
    sessions = make_session_factory(make_engine(url, is_durable=True))
    pipe.send("ready")
    intake = Intake(sessions, lambda: at)
    run_ingest([source], intake, sessions, lambda: at, threading.Event())


def readings(first: int, last: int, at: datetime) -> list[bytes]:
    """Readings of one meter, one a second, each with its number as value; now and then nonsense."""
    return [
        json.dumps(
            {
                "source": "gateway",
                "id": str(number),
                "site": "DE",
                "series": "site_power",
                "at": (at - timedelta(seconds=number)).isoformat(),
                "value": number,
                "unit": "kW",
            }
        ).encode()
        if number % 100
        else b"nonsense %d" % number
        for number in range(first, last)
    ]


def what_came(sessions: SessionFactory) -> tuple[list[int], int, int]:
    """The numbers that are stored, how many dead letters are kept, and how many were counted."""
    with transaction(sessions) as session:
        values = session.scalars(select(TelemetryValue.value).order_by(TelemetryValue.value))
        dead = session.scalar(select(func.count()).select_from(DeadLetter)) or 0
        counted = session.scalar(select(func.sum(StreamState.stored + StreamState.dead_letters)))
        return [int(value) for value in values], dead, int(counted or 0)
