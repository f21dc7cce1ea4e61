"""Listening at the MQTT broker of a top node (VTN of 3.1.0) for changes of events.

The VTN says which broker, which topics, and how to be let in. What comes is a reason to ask it, and
is not read. A connection that is lost is made anew, with a new token: what was missed meanwhile is
made up for by asking once it is there again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.errors import ConnectorError, ContractBroken, Rejected, Unavailable
from connectors.vpp.openadr3.client import Vtn

log = logging.getLogger(__name__)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 300.0
_LARGEST_PACKET = 256 * 1024
_KEEPALIVE_S = 30
_ANSWER_S = 10.0
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_HERE = frozenset({"127.0.0.1", "localhost", "::1"})

Text = Annotated[str, Field(min_length=1, max_length=2000)]
Pem = Annotated[str, Field(min_length=1, max_length=64_000)]


class _Offer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Entry(_Offer):
    method: Literal["ANONYMOUS", "OAUTH2_BEARER_TOKEN", "CERTIFICATE"]
    username: Text | None = None
    ca: Pem | None = Field(default=None, alias="caCert", repr=False)
    cert: Pem | None = Field(default=None, alias="clientCert", repr=False)
    key: Pem | None = Field(default=None, alias="clientKey", repr=False)


class _Binding(_Offer):
    uris: Annotated[tuple[Text, ...], Field(alias="URIS", min_length=1, max_length=20)]
    serialization: Literal["JSON"] = "JSON"
    authentication: _Entry


@dataclass(frozen=True, slots=True)
class _Broker:
    host: str
    port: int
    is_tls: bool
    entry: _Entry
    topics: tuple[str, ...]
    username: str | None
    password: str | None = field(repr=False)

    @property
    def called(self) -> str:
        """What it is called in errors."""
        return f"VTN, MQTT broker {self.host}:{self.port}"


class MqttNotifier:
    """Listens as ``vtn`` says; ``vtn`` is used by nobody else.

    Attributes
    ----------
    is_listening
        Set as long as the broker has granted all that was asked for.
    """

    def __init__(
        self, vtn: Vtn, ven_name: str, pauses_s: tuple[float, float] | None = None
    ) -> None:
        self._vtn = vtn
        self._ven_name = ven_name
        self._first_s, self._longest_s = pauses_s or (_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        self._told = ""
        self.is_listening = threading.Event()

    def run(self, wake: Callable[[], None], stop: threading.Event) -> None:
        """Call ``wake`` whenever an event may have changed, until ``stop`` is set."""
        pause_s = self._first_s
        while not stop.is_set():
            try:
                self._listen(asyncio.run(self._broker()), wake, stop)
            except ConnectorError as error:
                self._tell(str(error))
            except Exception:
                log.exception("VTN: listening by MQTT failed")
            pause_s = self._first_s if self.is_listening.is_set() else pause_s * 2
            self.is_listening.clear()
            stop.wait(min(pause_s, self._longest_s))

    async def _broker(self) -> _Broker:
        """Ask which broker there is, what to listen to, and how to be let in."""
        offers = await self._vtn.find("notifiers") or {}
        if offers.get("MQTT") is None:
            raise Rejected("VTN: offers no MQTT: set mqtt = false")
        try:
            binding = _Binding.model_validate(offers["MQTT"])
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise ContractBroken(f"VTN: notifiers: MQTT.{place}: {first['msg']}") from error
        topics = await self._topics()
        host, port, is_tls = _address(binding.uris)
        entry = binding.authentication
        username = password = None
        if entry.method == "OAUTH2_BEARER_TOKEN":
            own = self._vtn.credentials.client_id
            username = (entry.username or "{clientID}").replace("{clientID}", own)
            password = await self._vtn.valid_token()
        return _Broker(host, port, is_tls, entry, topics, username, password)

    async def _topics(self) -> tuple[str, ...]:
        vens = await self._vtn.listed("vens", {"venName": self._ven_name})
        numbers = [
            each["id"]
            for each in vens
            if isinstance(each, dict)
            and each.get("venName") == self._ven_name
            and isinstance(each.get("id"), str)
        ]
        if not numbers:
            raise Unavailable(f"VTN: VEN {self._ven_name} is not registered yet")
        path = f"notifiers/mqtt/topics/vens/{numbers[0]}/events"
        topics = (await self._vtn.find(path) or {}).get("topics")
        named = topics if isinstance(topics, dict) else {}
        names = ("ALL",) if named.get("ALL") else ("CREATE", "UPDATE", "DELETE")
        found = [named.get(name) for name in names if named.get(name) is not None]
        words = tuple(each for each in found if isinstance(each, str) and 0 < len(each) <= 2000)
        if not words or len(words) < len(found):
            raise ContractBroken(f"VTN: {path}: no topics: {str(topics)[:200]}")
        return words

    def _listen(self, broker: _Broker, wake: Callable[[], None], stop: threading.Event) -> None:
        """Be connected until the connection is lost, or ``stop`` is set."""
        with ExitStack() as stack:
            connection = _Connection(broker, wake, self.is_listening)
            connection.open(stack)
            try:
                while not stop.is_set():
                    connection.turn()
            finally:
                connection.close()

    def _tell(self, sentence: str) -> None:
        """Say it once, not at every try."""
        if sentence != self._told:
            self._told = sentence
            log.warning("no wake-ups by MQTT, polling goes on: %s", sentence)


class _Connection:
    """One connection, all of it in the thread that calls it."""

    def __init__(
        self, broker: _Broker, wake: Callable[[], None], is_listening: threading.Event
    ) -> None:
        self._broker = broker
        self._wake = wake
        self._is_listening = is_listening
        self._refused: ConnectorError | None = None
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5, reconnect_on_failure=False
        )
        self._client.connect_timeout = _ANSWER_S
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = lambda *_: wake()

    def open(self, stack: ExitStack) -> None:
        """Connect; files with keys are there as long as ``stack`` is."""
        broker = self._broker
        if broker.username is not None:
            self._client.username_pw_set(broker.username, broker.password)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = _LARGEST_PACKET
        try:
            if broker.entry.method == "CERTIFICATE":
                folder = Path(stack.enter_context(TemporaryDirectory()))
                self._client.tls_set(
                    _file(folder, "ca", broker.entry.ca),
                    _file(folder, "cert", broker.entry.cert),
                    _file(folder, "key", broker.entry.key),
                )
            elif broker.is_tls:
                self._client.tls_set()
            self._client.connect(broker.host, broker.port, _KEEPALIVE_S, properties=properties)
        except (OSError, ValueError) as error:
            raise Unavailable(f"{broker.called}: {error!r}") from error

    def turn(self) -> None:
        """Do what is to be done within a second."""
        told = self._client.loop(timeout=1.0)
        if self._refused is not None:
            raise self._refused
        if told != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise Unavailable(f"{self._broker.called} is lost: {paho.error_string(told)}")

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop(timeout=0.1)

    def _on_connect(
        self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        if reason.is_failure:
            self._refused = Unavailable(f"{self._broker.called} refuses to connect: {reason}")
            return
        self._client.subscribe([(topic, 1) for topic in self._broker.topics])

    def _on_subscribe(
        self, _client: Any, _data: Any, _mid: int, reasons: list[Any], _properties: Any
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            told = ", ".join(map(str, reasons))
            self._refused = Rejected(f"{self._broker.called} refuses its topics: {told}")
            return
        self._is_listening.set()
        self._wake()  # something may have changed before


def _address(uris: tuple[str, ...]) -> tuple[str, int, bool]:
    """Return host, port and whether with TLS, of the first that can be used."""
    for uri in uris:
        try:
            parts = urlsplit(uri)
            host, port = parts.hostname, parts.port
        except ValueError:
            continue
        is_safe = parts.scheme == "mqtts" or (parts.scheme == "mqtt" and host in _HERE)
        if host and is_safe:
            return host, port or _PORTS[parts.scheme], parts.scheme == "mqtts"
    shown = ", ".join(uris)[:200]
    raise Rejected(f"VTN: brokers {shown}: none is mqtts:// (mqtt:// on this machine only)")


def _file(folder: Path, name: str, text: str | None) -> str | None:
    if text is None:
        return None
    path = folder / name
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    return str(path)
