"""Kill -9 at any instant: no message that was taken is lost, and none is stored twice."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from typing import Protocol

from connectors.streams.kafka import KafkaCluster
from scheduler.db.session import make_engine, make_session_factory
from tests.chaos.streaming import Broker, ingest, ingest_and_die, readings, what_came
from tests.chaos.test_kill9 import process
from tests.peers.kafka_mock import KafkaBroker
from tests.peers.mosquitto import Mosquitto
from tests.peers.processes import wait_until
from tests.services.builders import START
from tests.services.scene import Scene

N_MESSAGES = 3000
N_KILLS = 3


class Publishing(Protocol):
    """A broker to publish with."""

    def publish(self, bodies: Sequence[bytes]) -> None:
        """Publish these; on return the broker has them."""


def kill_again_and_again(url: str, broker: Publishing, listening_to: Broker) -> None:
    """Publish while the process that takes messages in is killed, and require each to be once."""
    engine = make_engine(url)
    scene = Scene(make_session_factory(engine), at=START).set_up()
    arguments = (url, listening_to, START)
    with process(ingest_and_die, *arguments) as first:
        wait_until(lambda: _is_known(scene, broker), "the first batch is stored")
        first.join(20)
        assert first.exitcode == -9
    _, _, before = what_came(scene.sessions)
    assert before > 0
    publisher = threading.Thread(target=_publish_slowly, args=(broker,))
    publisher.start()
    instants = random.Random(20260607)
    for _ in range(N_KILLS):
        with process(ingest, *arguments):
            time.sleep(instants.uniform(0.2, 1.2))
    publisher.join()
    expected = [number for number in range(1, N_MESSAGES) if number % 100]
    n_dead = N_MESSAGES // 100
    with process(ingest, *arguments):
        wait_until(
            lambda: (
                what_came(scene.sessions)[0] == expected and what_came(scene.sessions)[1] == n_dead
            ),
            "everything has come",
            within_s=60.0,
        )
    assert what_came(scene.sessions) == (expected, n_dead, len(expected) + n_dead)
    engine.dispose()


def _is_known(scene: Scene, broker: Publishing) -> bool:
    """Whether something was stored; what is sent before the session is there is sent again."""
    broker.publish(readings(1, 2, START))
    time.sleep(0.2)
    return what_came(scene.sessions)[2] > 0


def _publish_slowly(broker: Publishing) -> None:
    for first in range(0, N_MESSAGES, 100):
        broker.publish(readings(first, first + 100, START))
        time.sleep(0.05)


def test_killed_between_mqtt_and_the_database(database_url: str, mqtt: Mosquitto) -> None:
    """A real Mosquitto; once right between storing and acknowledging, then anywhere."""
    kill_again_and_again(database_url, mqtt, mqtt.broker)


def test_killed_between_kafka_and_the_database(sqlite_url: str, kafka: KafkaBroker) -> None:
    """The same with librdkafka's mock of a Kafka."""
    kill_again_and_again(sqlite_url, kafka, KafkaCluster(kafka.servers, session_s=6.0))
