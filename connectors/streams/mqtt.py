"""Messages from an MQTT 5 broker, at least once: a persistent session, acknowledged by hand.

The broker keeps what is not acknowledged in the session of this client id, also while nobody is
connected, and has no more on its way than Receive Maximum (MQTT 5.0, 4.9): that is how it is held
up. What is sent at QoS 0 is passed on, but nobody keeps it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from connectors.errors import ConnectorError, Rejected, Unavailable
from connectors.streams.backoff import Backoff
from connectors.types import StreamMessage

log = logging.getLogger(__name__)

_SESSION_S = 7 * 24 * 3600  # how long the broker keeps a session nobody is connected to
_LARGEST_PACKET = 64 * 1024
_KEEPALIVE_S = 30
_ANSWER_S = 10.0
_FAREWELL_S = 2.0
_PACKETS_AT_ONCE = 200  # before others of the event loop have their turn
_AT_ONCE = 1000
_NUMBERS = count(1)  # of connections
_RETAINED = SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
# MQTT 5.0, 2.4: of those a broker answers a connection with, these pass by themselves.
_PASSING = frozenset({0x83, 0x88, 0x89, 0x8B, 0x8D, 0x97, 0x9C, 0x9D, 0x9F})


@dataclass(frozen=True, slots=True)
class MqttBroker:
    """A broker, and as whom to listen to what there.

    Topics are ``prefix/SITE/...``. Who may publish under a site is the broker's to say; a message
    of another site than its topic's is refused.
    """

    host: str
    port: int = 1883
    client_id: str = "gridtide-ingest"
    topic_prefix: str = "gridtide"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    is_tls: bool = False
    ca_file: Path | None = None  # None: those of the system
    cert_file: Path | None = None
    key_file: Path | None = None

    @property
    def called(self) -> str:
        """What it is called in errors."""
        return f"MQTT broker {self.host}:{self.port}"


class MqttSource:
    """Implements ``MessageSource``. One at a time for each client id: a second ends the first.

    ``most_held`` messages are out at most that were not acknowledged.
    """

    name = "mqtt"

    def __init__(
        self, broker: MqttBroker, most_held: int = 4000, backoff: Backoff | None = None
    ) -> None:
        self._broker = broker
        self._most_held = most_held
        self._backoff = backoff or Backoff()
        self._connection: _Connection | None = None
        self._was_connected = False

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None

    async def receive(self) -> tuple[StreamMessage, ...]:
        """Wait for messages of the present connection, which is made where there is none."""
        if self._connection is None:
            await self._backoff.pause()
            self._connection = await self._connect()
        try:
            return await self._connection.next()
        except ConnectorError:
            self._connection = None
            self._backoff.failed()
            raise

    async def acknowledge(self, messages: Sequence[StreamMessage]) -> None:
        """Send a PUBACK for each, if the connection it came by is still there."""
        if self._connection is not None:
            self._connection.acknowledge(messages)

    async def backlog(self) -> int | None:
        """Return ``None``: a broker does not tell."""
        return None

    async def close(self) -> None:
        """Disconnect; the session is kept."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _connect(self) -> _Connection:
        connection = _Connection(self._broker, self._most_held, is_first=not self._was_connected)
        try:
            await connection.open()
        except BaseException:
            self._backoff.failed()
            await connection.close()
            raise
        self._backoff.succeeded()
        self._was_connected = True
        return connection


class _Connection:
    """One connection, from its beginning to its loss: what came by it is acknowledged by it alone.

    Packet identifiers are given again once they are acknowledged: one of a connection before would
    acknowledge another message. All of it happens in the event loop but for connecting.
    """

    def __init__(self, broker: MqttBroker, most_held: int, *, is_first: bool) -> None:
        self._broker = broker
        self._number = next(_NUMBERS)
        self._is_first = is_first
        self._most_held = most_held
        self._loop = asyncio.get_running_loop()
        self._client = self._make_client()
        self._arrived: deque[StreamMessage] = deque()
        self._out: set[int] = set()  # packets that were passed on and are not acknowledged
        self._n_arrived = 0
        self._news = asyncio.Event()
        self._lost: ConnectorError | None = None
        self._is_closing = False
        self._is_held_up = False
        self._answer: asyncio.Future[None] = self._loop.create_future()  # to CONNECT, to SUBSCRIBE
        self._socket: Any = None
        self._upkeep: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect and subscribe; ``Rejected`` where the broker says no."""
        broker = self._broker
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = _SESSION_S
        properties.ReceiveMaximum = min(self._most_held, 65_535)
        properties.MaximumPacketSize = _LARGEST_PACKET
        try:
            await asyncio.to_thread(
                self._client.connect,
                broker.host,
                broker.port,
                _KEEPALIVE_S,
                clean_start=False,
                properties=properties,
            )
            self._upkeep = asyncio.create_task(self._keep_up())
            await asyncio.wait_for(self._answer, _ANSWER_S)
            self._answer = self._loop.create_future()
            options = SubscribeOptions(qos=1, retainHandling=_RETAINED)
            self._client.subscribe(f"{broker.topic_prefix}/#", options=options)
            await asyncio.wait_for(self._answer, _ANSWER_S)
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"{broker.called}: {error!r}") from error

    async def next(self) -> tuple[StreamMessage, ...]:
        """Wait for messages, or for the loss of the connection."""
        while not self._arrived or len(self._out) >= self._most_held:
            if self._lost is not None:
                raise self._lost
            self._news.clear()
            await self._news.wait()
        some = min(len(self._arrived), self._most_held - len(self._out), _AT_ONCE)
        messages = tuple(self._arrived.popleft() for _ in range(some))
        self._out.update(int(one.ticket[1]) for one in messages if one.ticket)
        if self._is_held_up:
            self._is_held_up = False
            self._begin_to_read()
        return messages

    def acknowledge(self, messages: Sequence[StreamMessage]) -> None:
        """Queue the PUBACKs of those that came by this connection, one for each."""
        if self._lost is not None:
            return
        for message in messages:
            number, packet = message.ticket or (0, 0)
            if number == self._number and packet in self._out:
                self._out.remove(int(packet))
                self._client.ack(int(packet), 1)
        self._news.set()

    async def close(self) -> None:
        """Leave, once the broker has heard everything that was acknowledged."""
        if self._socket is not None and self._client.is_connected():
            await self._be_heard()
        self._is_closing = True
        if self._upkeep is not None:
            self._upkeep.cancel()
        if self._socket is not None:
            self._client.disconnect()
            self._client.loop_write()
        if self._socket is not None:
            self._forget(self._client, None, self._socket)
        if self._answer.done() and not self._answer.cancelled():
            self._answer.exception()  # told by the loss of the connection already

    async def _be_heard(self) -> None:
        """Ask for something that changes nothing: its answer comes after all that was said before.

        A broker that sees a connection end may not read what was sent last.
        """
        self._answer = self._loop.create_future()
        self._client.unsubscribe(f"{self._broker.topic_prefix}/nothing-is-subscribed-here")
        try:
            await asyncio.wait_for(self._answer, _FAREWELL_S)
        except (ConnectorError, TimeoutError) as error:
            log.info(
                "%s: what was acknowledged last may come again: %r", self._broker.called, error
            )

    def _make_client(self) -> paho.Client:
        broker = self._broker
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client_id,
            protocol=paho.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.password)
        if broker.is_tls:
            client.tls_set(_path(broker.ca_file), _path(broker.cert_file), _path(broker.key_file))
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = lambda *_: self._answered()
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._forget
        client.on_socket_register_write = self._on_something_to_write
        client.on_socket_unregister_write = self._on_nothing_to_write
        return client

    async def _keep_up(self) -> None:
        """Let the client send its pings, and notice that nobody answers them."""
        while self._client.loop_misc() == MQTTErrorCode.MQTT_ERR_SUCCESS:
            await asyncio.sleep(1.0)

    def _read(self) -> None:
        """Read what is there; leave it in the network while there is no room for more.

        Receive Maximum bounds no QoS 0, and Mosquitto before 2.0.12 goes beyond it.
        """
        for _ in range(_PACKETS_AT_ONCE):
            if len(self._arrived) > self._most_held and self._socket is not None:
                self._is_held_up = True
                self._loop.remove_reader(self._socket)
                return
            before = self._n_arrived
            self._client.loop_read()
            if self._n_arrived == before:
                break
        # What TLS has read already makes no socket readable.
        if self._socket is not None and getattr(self._socket, "pending", int)():
            self._loop.call_soon(self._read)

    def _on_connect(
        self, _client: Any, _data: Any, flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if reason.is_failure:
            kind = Unavailable if reason.value in _PASSING else Rejected
            self._answered(kind(f"{self._broker.called} refuses to connect: {reason}"))
            return
        if not self._is_first and not flags.session_present:
            log.warning("%s has forgotten the session, and what it kept in it", self._broker.called)
        self._answered()

    def _on_subscribe(
        self, _client: Any, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        if [reason.value for reason in reasons] == [1]:
            self._answered()
            return
        told = ", ".join(map(str, reasons))
        what = f"{self._broker.called} grants {self._broker.topic_prefix}/# with {told}, not QoS 1"
        self._answered(Rejected(what))

    def _on_disconnect(
        self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if self._is_closing:
            return
        self._lost = self._lost or Unavailable(f"{self._broker.called} is lost: {reason}")
        self._answered(self._lost)
        self._news.set()

    def _answered(self, error: ConnectorError | None = None) -> None:
        if self._answer.done():
            return
        if error is None:
            self._answer.set_result(None)
        else:
            self._answer.set_exception(error)

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        ticket = (self._number, message.mid) if message.qos else ()
        sites = _sites_of(self._broker.topic_prefix, message.topic)
        self._arrived.append(StreamMessage(message.topic, bytes(message.payload), ticket, sites))
        self._n_arrived += 1
        self._news.set()

    def _on_socket_open(self, _client: Any, _data: Any, opened: Any) -> None:
        self._socket = opened
        self._loop.call_soon_threadsafe(self._begin_to_read)

    def _begin_to_read(self) -> None:
        if self._socket is not None:
            self._loop.add_reader(self._socket, self._read)

    def _forget(self, _client: Any, _data: Any, closed: Any) -> None:
        self._socket = None
        self._loop.remove_reader(closed)
        self._loop.remove_writer(closed)

    def _on_something_to_write(self, _client: Any, _data: Any, open_: Any) -> None:
        # The first time in the thread that connects.
        self._loop.call_soon_threadsafe(self._begin_to_write, open_)

    def _begin_to_write(self, open_: Any) -> None:
        # All may have been written since this was asked for.
        if self._socket is open_ and self._client.want_write():
            self._loop.add_writer(open_, self._client.loop_write)

    def _on_nothing_to_write(self, _client: Any, _data: Any, open_: Any) -> None:
        self._loop.remove_writer(open_)


def _path(file: Path | None) -> str | None:
    return None if file is None else str(file)


@lru_cache(maxsize=10_000)
def _sites_of(prefix: str, topic: str) -> frozenset[str]:
    """Return the site that stands after the prefix, as a set; an empty one where none does."""
    levels = topic.removeprefix(f"{prefix}/").split("/")
    return frozenset(levels[:1]) if len(levels) > 1 else frozenset()
