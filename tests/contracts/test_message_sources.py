"""Every source of messages passes the contract."""

from __future__ import annotations

import pytest

from connectors.protocols import MessageSource
from connectors.streams.kafka import KafkaCluster, KafkaSource
from connectors.streams.mqtt import MqttSource
from tests.contracts.message_source import Connect, MessageSourceContract, Publishing
from tests.peers.kafka_mock import KafkaBroker
from tests.peers.mosquitto import Mosquitto


class TestMqttSource(MessageSourceContract):
    """A real Mosquitto."""

    @pytest.fixture
    def broker(self, mqtt: Mosquitto) -> Publishing:
        """It."""
        return mqtt

    @pytest.fixture
    def connect(self, mqtt: Mosquitto) -> Connect:
        """A source of its one client."""

        def made(most_held: int) -> MessageSource:
            return MqttSource(mqtt.broker, most_held)

        return made


class TestKafkaSourceOnAMock(MessageSourceContract):
    """librdkafka's mock cluster: the protocol, not a Kafka."""

    @pytest.fixture
    def broker(self, kafka: KafkaBroker) -> Publishing:
        """It."""
        return kafka

    @pytest.fixture
    def connect(self, kafka: KafkaBroker) -> Connect:
        """A source of its one group."""

        def made(most_held: int) -> MessageSource:
            return KafkaSource(KafkaCluster(kafka.servers, session_s=6.0), most_held)

        return made
