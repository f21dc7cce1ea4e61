"""librdkafka's mock cluster as a process of its own: the protocol of Kafka, and NOT a real Kafka.

It keeps records in memory, knows one group at a time well, and has no authorisation. Run as a
program it prints where it listens and lives until it is ended.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

_ANSWER_S = 20.0


def why_not() -> str | None:
    """Say why none can be started here; ``None`` where one can."""
    if find_spec("confluent_kafka") is None:
        return "needs the mock of Kafka in confluent-kafka, missing here: confluent-kafka"
    return None


@dataclass
class KafkaBroker:
    """Where a broker listens, and how to hold it up."""

    servers: str
    process: subprocess.Popen[str] | None = None

    def publish(self, bodies: Sequence[bytes], topic: str = "gridtide") -> None:
        """Produce, in order, and wait until the broker has them all."""
        from confluent_kafka import Producer  # noqa: PLC0415

        producer = Producer(
            {"bootstrap.servers": self.servers, "acks": "all", "enable.idempotence": False}
        )
        for body in bodies:
            producer.produce(topic, body, partition=0)  # so that there is one order
            producer.poll(0)
        left = producer.flush(_ANSWER_S)
        assert left == 0, f"{left} records were not taken by {self.servers}"

    def pause(self) -> None:
        """Let it answer nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        self._process.send_signal(signal.SIGCONT)

    @property
    def _process(self) -> subprocess.Popen[str]:
        assert self.process is not None
        return self.process


@contextmanager
def running() -> Iterator[KafkaBroker]:
    """Start one, and end it with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.peers.kafka_mock"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield KafkaBroker(process.stdout.readline().strip(), process)
    finally:
        process.kill()
        process.communicate()


def main() -> None:
    """Hold a mock cluster of one broker up until killed."""
    from confluent_kafka import Producer  # noqa: PLC0415

    mock = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "none"})
    (broker,) = mock.list_topics(timeout=_ANSWER_S).brokers.values()
    print(f"{broker.host}:{broker.port}", flush=True)  # noqa: T201
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
