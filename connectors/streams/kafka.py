"""Messages of topics of Kafka, or of anything that speaks its protocol, at least once.

A group of consumers shares the partitions. What is acknowledged is committed: per partition, up to
the first message that is not, since a commit is a position and not a list.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from ssl import SSLContext
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    AuthenticationFailedError,
    CommitFailedError,
    GroupAuthorizationFailedError,
    IllegalStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)
from aiokafka.helpers import create_ssl_context

from connectors.errors import ConnectorError, Rejected, Unavailable
from connectors.streams.backoff import Backoff
from connectors.types import StreamMessage

_AT_ONCE = 1000
_POLL_MS = 1000
_ANSWER_S = 10.0
_NUMBERS = count(1)  # of assignments
_FETCH_BYTES = 1024 * 1024
_FETCH_WAIT_MS = 50  # some answer an empty fetch only then, though something has come meanwhile
_REFUSALS = (
    AuthenticationFailedError,
    GroupAuthorizationFailedError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)


@dataclass(frozen=True, slots=True)
class KafkaCluster:
    """A cluster, and which topics of it to read as which group."""

    servers: str  # HOST:PORT,...
    topics: tuple[str, ...] = ("gridtide",)
    group: str = "gridtide-ingest"
    is_tls: bool = False
    ca_file: Path | None = None  # None: those of the system
    cert_file: Path | None = None
    key_file: Path | None = None
    sasl_mechanism: str = "SCRAM-SHA-512"  # where there is a username
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    session_s: float = 10.0  # after which the partitions of one that is not heard of pass to others

    @property
    def called(self) -> str:
        """What it is called in errors."""
        return f"Kafka {self.servers}"


class _Partition:
    """What was received of one partition and is not committed, in order."""

    def __init__(self) -> None:
        self.waiting: deque[int] = deque()
        self._acknowledged: set[int] = set()

    def acknowledge(self, offset: int) -> int | None:
        """Note one; return the position to commit where all before it are acknowledged as well."""
        if not self.waiting or offset < self.waiting[0]:
            return None
        self._acknowledged.add(offset)
        position = None
        while self.waiting and self.waiting[0] in self._acknowledged:
            first = self.waiting.popleft()
            self._acknowledged.remove(first)
            position = first + 1
        return position


class KafkaSource(ConsumerRebalanceListener):  # type: ignore[misc]
    """Implements ``MessageSource``. Any number of one group may be there at the same time.

    ``most_held`` messages are out at most that were not acknowledged.
    """

    name = "kafka"

    def __init__(
        self, cluster: KafkaCluster, most_held: int = 4000, backoff: Backoff | None = None
    ) -> None:
        self._cluster = cluster
        self._most_held = most_held
        self._backoff = backoff or Backoff()
        self._consumer: AIOKafkaConsumer | None = None
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._number = next(
            _NUMBERS
        )  # of the present assignment: what came by one before is not committed
        self._room = asyncio.Event()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection."""
        return self._consumer is not None

    async def receive(self) -> tuple[StreamMessage, ...]:
        """Wait for records; connects where that was not done, or was lost."""
        try:
            if self._consumer is None:
                await self._backoff.pause()
                self._consumer = await self._connect()
            while True:
                room = await self._wait_for_room()
                fetched = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=room)
                if fetched:
                    return tuple(self._noted(fetched))
        except (KafkaError, OSError) as error:
            await self.close()
            self._backoff.failed()
            raise self._told(error) from error

    async def acknowledge(self, messages: Sequence[StreamMessage]) -> None:
        """Commit as far as everything is acknowledged."""
        positions: dict[TopicPartition, int] = {}
        for message in messages:
            number, topic, partition, offset = message.ticket
            key = TopicPartition(str(topic), int(partition))
            if number != self._number or key not in self._partitions:
                continue
            position = self._partitions[key].acknowledge(int(offset))
            if position is not None:
                positions[key] = position
        self._room.set()
        if not positions or self._consumer is None:
            return
        try:
            await self._consumer.commit(positions)
        except (CommitFailedError, IllegalStateError):
            return  # the partitions went to another of the group, to whom these come again
        except KafkaError as error:
            raise self._told(error) from error

    async def backlog(self) -> int | None:
        """Return how many records of our partitions were not received yet."""
        consumer = self._consumer
        if consumer is None:
            return None
        try:
            return await asyncio.wait_for(_behind(consumer), _ANSWER_S)
        except (KafkaError, TimeoutError) as error:
            raise Unavailable(f"{self._cluster.called}: {error!r}") from error

    async def close(self) -> None:
        """Leave the group."""
        consumer, self._consumer = self._consumer, None
        self._forget()
        if consumer is not None:
            await consumer.stop()

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # noqa: ARG002
        """Forget what is out: it comes again, to whoever has the partitions then."""
        self._forget()

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Nothing to do: reading begins where the group had committed."""

    async def _connect(self) -> AIOKafkaConsumer:
        cluster = self._cluster
        consumer = AIOKafkaConsumer(
            bootstrap_servers=cluster.servers,
            group_id=cluster.group,
            client_id="gridtide",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=round(1000 * cluster.session_s),
            heartbeat_interval_ms=round(300 * cluster.session_s),
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_bytes=4 * _FETCH_BYTES,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            security_protocol=_protocol(cluster),
            ssl_context=_tls(cluster) if cluster.is_tls else None,
            sasl_mechanism=cluster.sasl_mechanism,
            sasl_plain_username=cluster.username,
            sasl_plain_password=cluster.password,
        )
        consumer.subscribe(list(cluster.topics), listener=self)
        try:
            await consumer.start()
        except BaseException:
            await consumer.stop()
            raise
        self._backoff.succeeded()
        return consumer

    async def _wait_for_room(self) -> int:
        while (room := self._most_held - self._n_held()) <= 0:
            self._room.clear()
            await self._room.wait()
        return min(_AT_ONCE, room)

    def _n_held(self) -> int:
        return sum(len(one.waiting) for one in self._partitions.values())

    def _noted(self, fetched: Mapping[TopicPartition, Sequence[Any]]) -> Iterable[StreamMessage]:
        for key, records in fetched.items():
            of_partition = self._partitions.setdefault(key, _Partition())
            for record in records:
                of_partition.waiting.append(record.offset)
                ticket = (self._number, key.topic, key.partition, record.offset)
                yield StreamMessage(key.topic, record.value or b"", ticket)

    def _forget(self) -> None:
        self._number = next(_NUMBERS)
        self._partitions.clear()
        self._room.set()

    def _told(self, error: Exception) -> ConnectorError:
        kind = Rejected if isinstance(error, _REFUSALS) else Unavailable
        return kind(f"{self._cluster.called}: {error!r}")


async def _behind(consumer: AIOKafkaConsumer) -> int:
    ours = consumer.assignment()
    ends = await consumer.end_offsets(ours)
    return sum([int(ends[one] - await consumer.position(one)) for one in ours])


def _tls(cluster: KafkaCluster) -> SSLContext:
    files = {
        "cafile": cluster.ca_file,
        "certfile": cluster.cert_file,
        "keyfile": cluster.key_file,
    }
    given = {name: str(file) for name, file in files.items() if file is not None}
    context: SSLContext = create_ssl_context(**given)
    return context


def _protocol(cluster: KafkaCluster) -> str:
    transport = "SSL" if cluster.is_tls else "PLAINTEXT"
    return transport if cluster.username is None else f"SASL_{transport}"
