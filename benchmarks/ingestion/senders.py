"""Sends numbered readings over each way in, as fast as they are taken or at a rate."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
from confluent_kafka import Producer

DEVICES = 500
TOPIC = "gridtide/DE/benchmark"
_WINDOW = 2000  # packets on their way to the broker
_TICK_S = 0.01
_PUSHED_AT_ONCE = 500
_AGAIN_S = 0.05


@dataclass(frozen=True, slots=True)
class Sending:
    """``n`` readings with numbers from ``first``; ``per_s`` of them in a second, or all at once."""

    first: int
    n: int
    per_s: float | None = None


def body(number: int, sent_at: float) -> bytes:
    """One reading of a GPU; its number is its value, and told apart by device and second."""
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number // DEVICES)
    return json.dumps(
        {
            "source": "benchmark",
            "id": str(number),
            "site": "DE",
            "series": "battery_soc",
            "device": "pack",
            "at": (at + timedelta(milliseconds=number % DEVICES)).isoformat(),
            "value": number,
            "unit": "kWh",
            "sent_at": datetime.fromtimestamp(sent_at, UTC).isoformat(),
        }
    ).encode()


def batches(sending: Sending, size: int) -> Iterator[Sequence[bytes]]:
    """Give the bodies in batches, each when its time has come."""
    numbers = range(sending.first, sending.first + sending.n)
    if sending.per_s is None:
        for start in range(0, sending.n, size):
            now = time.time()
            yield [body(number, now) for number in numbers[start : start + size]]
        return
    began, sent = time.time(), 0
    while sent < sending.n:
        due = min(sending.n, int((time.time() - began) * sending.per_s))
        if due > sent:
            # Each counts from when it was due, not from when the batch was put together.
            yield [
                body(sending.first + index, began + index / sending.per_s)
                for index in range(sent, due)
            ]
            sent = due
        time.sleep(_TICK_S)


def send_mqtt(address: str, sending: Sending) -> None:
    """Publish at QoS 1; on return the broker has everything.

    By hand: a client that does more would take the time of what is measured.
    """
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = b"\x00\x06sender"
        opening = b"\x00\x04MQTT\x04\x02\x00\x00" + name
        connection.sendall(b"\x10" + bytes([len(opening)]) + opening)
        connection.recv(4)
        window = _Window(connection, sending.n)
        packet = 0
        for some in batches(sending, 100):
            window.wait_for_room()
            packets = []
            for one in some:
                packet = packet % 65_000 + 1
                packets.append(_publish(packet, one))
            connection.sendall(b"".join(packets))
            window.sent += len(some)
        window.wait_for_all()


class _Window:
    """Counts the PUBACKs of one connection in a thread of its own."""

    def __init__(self, connection: socket.socket, n: int) -> None:
        self.sent = 0
        self._acknowledged = 0
        self._reader = threading.Thread(target=self._read, args=(connection, n))
        self._reader.start()

    def wait_for_room(self) -> None:
        while self.sent - self._acknowledged > _WINDOW:
            time.sleep(0.001)

    def wait_for_all(self) -> None:
        self._reader.join()

    def _read(self, connection: socket.socket, n: int) -> None:
        n_bytes = 0
        while n_bytes < 4 * n:
            n_bytes += len(connection.recv(1 << 16))
            self._acknowledged = n_bytes // 4


def _publish(packet: int, payload: bytes) -> bytes:
    topic = TOPIC.encode()
    rest = struct.pack("!H", len(topic)) + topic + struct.pack("!H", packet) + payload
    length, digits = len(rest), bytearray()
    while True:
        length, digit = divmod(length, 128)
        digits.append(digit | (128 if length else 0))
        if not length:
            return b"\x32" + bytes(digits) + rest


def send_kafka(address: str, sending: Sending) -> None:
    """Produce; on return the broker has everything."""
    producer = Producer({"bootstrap.servers": address, "acks": "all", "linger.ms": 1})
    producer.list_topics("gridtide", timeout=60)  # connecting is not what is measured
    for some in batches(sending, 100):
        for one in some:
            producer.produce("gridtide", one)
        while len(producer) > _WINDOW:
            producer.poll(0.001)
        producer.poll(0)
    left = producer.flush(60)
    if left:
        raise TimeoutError(f"{left} records were not taken")


def send_http(address: str, sending: Sending, key: str, log: Callable[[float], None]) -> None:
    """Push batches, each again until it is answered with 200; ``log`` takes delays [s]."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
    with httpx.Client(base_url=f"http://{address}", headers=headers, timeout=30) as client:
        for some in batches(sending, _PUSHED_AT_ONCE):
            _push(client, b"\n".join(some))
            now = time.time()
            if sending.per_s is not None:
                for one in some:
                    log(now - sent_at(one))


def _push(client: httpx.Client, content: bytes) -> None:
    while True:
        try:
            answer = client.post("/v1/messages", content=content)
        except httpx.TransportError:
            time.sleep(_AGAIN_S)
            continue
        answer.raise_for_status()
        return


def sent_at(message: bytes) -> float:
    """When a message says that it was sent [s since 1970]."""
    return datetime.fromisoformat(json.loads(message)["sent_at"]).timestamp()
