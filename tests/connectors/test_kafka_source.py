"""Kafka: what a broker does to a source. The broker is librdkafka's mock, not a real one."""

from __future__ import annotations

import asyncio

import pytest

from connectors.errors import Unavailable
from connectors.streams.backoff import Backoff
from connectors.streams.kafka import KafkaCluster, KafkaSource
from tests.contracts.message_source import bodies, numbered, receive
from tests.peers.kafka_mock import KafkaBroker
from tests.peers.processes import free_ports


async def test_nobody_there_is_unavailable() -> None:
    """Again and again, more and more seldom."""
    backoff = Backoff(0.01, 0.02)
    cluster = KafkaCluster(f"127.0.0.1:{free_ports(1)[0]}")
    source = KafkaSource(cluster, backoff=backoff)
    for most_s in (0.01, 0.02):
        with pytest.raises(Unavailable, match=cluster.servers):
            await source.receive()
        assert not source.is_connected
        assert backoff.most_s == most_s
    assert await source.backlog() is None
    await source.close()


async def test_a_broker_that_hangs_is_waited_for(kafka: KafkaBroker) -> None:
    """Nothing is lost; and how much waits is told."""
    source = KafkaSource(KafkaCluster(kafka.servers, session_s=30.0))
    await asyncio.to_thread(kafka.publish, numbered(0, 5))
    first = await receive(source, 5)
    await asyncio.to_thread(kafka.publish, numbered(5, 8))
    kafka.pause()
    waiting = asyncio.create_task(receive(source, 3))
    await asyncio.sleep(2.0)
    kafka.go_on()
    second = await waiting
    assert bodies([*first, *second]) == numbered(0, 8)
    assert await source.backlog() == 0
    await source.acknowledge([*first, *second])
    await asyncio.to_thread(kafka.publish, numbered(8, 12))
    assert await source.backlog() == 4
    await source.close()


def test_secrets_stand_in_no_text() -> None:
    """Whoever reads a log learns none."""
    known_by_few = "hunter2"
    cluster = KafkaCluster("a:1", username="u", password=known_by_few)
    assert known_by_few not in repr(cluster)
