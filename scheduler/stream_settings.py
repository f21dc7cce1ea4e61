"""Settings of what comes in by streams: brokers, how to be let in there, and what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class StreamSettings(BaseSettings):
    """What ``gridtide ingest`` listens to, and how long what comes in is kept.

    Attributes
    ----------
    mqtt_url
        ``mqtt://HOST[:PORT]``, or ``mqtts://`` with TLS; none: no MQTT.
    mqtt_username, mqtt_password
        Shown to the broker where they are set.
    mqtt_ca_file, mqtt_cert_file, mqtt_key_file
        Whom to trust instead of the system's authorities; our own certificate and its key.
    mqtt_client_id
        The session whose messages the broker keeps; one process at a time has it.
    mqtt_topic_prefix
        Topics are ``PREFIX/SITE/...``.
    kafka_servers
        ``HOST:PORT,...``; none: no Kafka.
    kafka_topics, kafka_group
        What to read, comma-separated, and as which group of consumers.
    kafka_tls, kafka_ca_file, kafka_cert_file, kafka_key_file
        As for MQTT.
    kafka_username, kafka_password, kafka_sasl_mechanism
        Shown to the brokers where a user name is set.
    telemetry_history_days
        How long readings are kept [d].
    messages_known_hours
        How long a message is known when it comes again [h].
    dead_letters_kept
        How many messages that could not be used are kept, the newest.
    """

    mqtt_url: Annotated[str | None, Field(pattern=r"^mqtts?://")] = None
    mqtt_username: str | None = None
    mqtt_password: SecretStr | None = None
    mqtt_ca_file: Path | None = None
    mqtt_cert_file: Path | None = None
    mqtt_key_file: Path | None = None
    mqtt_client_id: Annotated[str, Field(min_length=1, max_length=60)] = "gridtide-ingest"
    mqtt_topic_prefix: Annotated[str, Field(pattern=r"^[^/#+$][^#+]*[^/#+]$")] = "gridtide"
    kafka_servers: str | None = None
    kafka_topics: Annotated[str, Field(min_length=1)] = "gridtide"
    kafka_group: Annotated[str, Field(min_length=1)] = "gridtide-ingest"
    kafka_tls: bool = False
    kafka_ca_file: Path | None = None
    kafka_cert_file: Path | None = None
    kafka_key_file: Path | None = None
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    kafka_sasl_mechanism: SaslMechanism = "SCRAM-SHA-512"
    telemetry_history_days: Annotated[float, Field(ge=1, le=3660)] = 31.0
    messages_known_hours: Annotated[float, Field(ge=1, le=24 * 366)] = 48.0
    dead_letters_kept: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000

    @field_validator("mqtt_url", "kafka_servers", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        """Take an empty variable for one that is not set, as compose files leave it."""
        return value or None

    @property
    def has_streams(self) -> bool:
        """Whether there is a broker to listen to."""
        return self.mqtt_url is not None or self.kafka_servers is not None
