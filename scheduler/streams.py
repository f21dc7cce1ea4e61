"""From settings to the brokers that messages come from, and to what takes them in."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from pydantic import SecretStr

from connectors.protocols import MessageSource
from scheduler.db.session import SessionFactory
from scheduler.services.errors import Invalid, Refusal
from scheduler.services.ingestion import Intake
from scheduler.services.ingestion_tidy import Kept
from scheduler.settings import Settings
from scheduler.timekeeping import Now

_MQTT_PORT, _MQTTS_PORT = 1883, 8883


def intake_of(settings: Settings, durable_sessions: SessionFactory, now: Now) -> Intake:
    """Return what takes messages in, and keeps them as long as ``settings`` say."""
    kept = Kept(
        readings=timedelta(days=settings.telemetry_history_days),
        seen=timedelta(hours=settings.messages_known_hours),
        dead_letters=settings.dead_letters_kept,
    )
    return Intake(durable_sessions, now, kept)


def message_sources_of(settings: Settings) -> tuple[MessageSource, ...]:
    """Return every broker that ``settings`` name; nothing is connected yet.

    Raises
    ------
    Invalid
        One cannot be spoken to from here.
    """
    sources: list[MessageSource] = []
    if settings.mqtt_url is not None:
        sources.append(_mqtt(settings, settings.mqtt_url))
    if settings.kafka_servers is not None:
        sources.append(_kafka(settings, settings.kafka_servers))
    return tuple(sources)


def _mqtt(settings: Settings, url: str) -> MessageSource:
    try:
        address = urlsplit(url)
        host, port = address.hostname, address.port
    except ValueError as error:
        raise Invalid(
            Refusal("settings", "mqtt_url", url, f"mqtt://HOST:PORT ({error})")
        ) from error
    if not host or address.username or address.password:
        limit = "mqtt://HOST:PORT; a user and a password have settings of their own"
        raise Invalid(Refusal("settings", "mqtt_url", f"mqtt://...@{host}", limit))
    try:  # its client is an extra
        from connectors.streams.mqtt import MqttBroker, MqttSource  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _missing("mqtt_url", "mqtt", error) from error
    is_tls = address.scheme == "mqtts"
    return MqttSource(
        MqttBroker(
            host=host,
            port=port or (_MQTTS_PORT if is_tls else _MQTT_PORT),
            client_id=settings.mqtt_client_id,
            topic_prefix=settings.mqtt_topic_prefix,
            username=settings.mqtt_username,
            password=_revealed(settings.mqtt_password),
            is_tls=is_tls,
            ca_file=settings.mqtt_ca_file,
            cert_file=settings.mqtt_cert_file,
            key_file=settings.mqtt_key_file,
        )
    )


def _kafka(settings: Settings, servers: str) -> MessageSource:
    try:  # its client is an extra
        from connectors.streams.kafka import KafkaCluster, KafkaSource  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _missing("kafka_servers", "kafka", error) from error
    return KafkaSource(
        KafkaCluster(
            servers=servers,
            topics=tuple(name.strip() for name in settings.kafka_topics.split(",")),
            group=settings.kafka_group,
            is_tls=settings.kafka_tls,
            ca_file=settings.kafka_ca_file,
            cert_file=settings.kafka_cert_file,
            key_file=settings.kafka_key_file,
            sasl_mechanism=settings.kafka_sasl_mechanism,
            username=settings.kafka_username,
            password=_revealed(settings.kafka_password),
        )
    )


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _missing(field: str, extra: str, error: ModuleNotFoundError) -> Invalid:
    limit = f"spoken to with what the extra gridtide[{extra}] installs ({error})"
    return Invalid(Refusal("settings", field, extra, limit))
