"""A real Mosquitto on this machine, that can be stopped and started again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from connectors.streams.mqtt import MqttBroker
from tests.peers.processes import end, free_ports, listens, pid_in, start_daemon, wait_until

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_ANSWER_S = 20.0
# What docs/streams.md tells operators: keep what nobody fetched, and on disk.
_CONFIG = """
listener {port} 127.0.0.1
persistence true
persistence_location {folder}/
max_queued_messages 0
max_inflight_messages 0
{user}
{access}
"""


def why_not() -> str | None:
    """Say why none can be started here; ``None`` where one can."""
    if shutil.which("mosquitto", path=_PATH) is None:
        return "needs a real Mosquitto, missing here: mosquitto"
    return None


@dataclass
class Mosquitto:
    """One broker. ``access`` are further lines of its configuration, "anybody" by default."""

    folder: Path
    access: str = "allow_anonymous true"
    port: int = field(default_factory=lambda: free_ports(1)[0])

    @property
    def broker(self) -> MqttBroker:
        """Where it listens."""
        return MqttBroker("127.0.0.1", self.port)

    def start(self) -> None:
        """Start it, with what it kept."""
        config = self.folder / "mosquitto.conf"
        user = "user root" if _is_root() else ""
        text = _CONFIG.format(port=self.port, folder=self.folder, user=user, access=self.access)
        config.write_text(text)
        start_daemon(
            ["mosquitto", "-c", str(config)],
            self.folder / "pid",
            self.folder / "log",
            {"PATH": _PATH},
        )
        wait_until(lambda: listens(self.port), "mosquitto listens")

    def stop(self) -> None:
        """End it; it saves what it keeps."""
        end([pid_in(self.folder / "pid")])

    def publish(
        self, bodies: Sequence[bytes], topic: str = "gridtide/DE/test", qos: int = 1
    ) -> None:
        """Publish, and wait until the broker has them all."""
        publisher = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        publisher.connect("127.0.0.1", self.port)
        publisher.loop_start()
        sent = [publisher.publish(topic, body, qos) for body in bodies]
        for one in sent:
            one.wait_for_publish(_ANSWER_S)
        publisher.disconnect()
        publisher.loop_stop()


def _is_root() -> bool:
    import os  # noqa: PLC0415

    return os.geteuid() == 0


@contextmanager
def running(folder: Path, access: str = "allow_anonymous true") -> Iterator[Mosquitto]:
    """Start one, and end it with the block."""
    mosquitto = Mosquitto(folder, access)
    mosquitto.start()
    try:
        yield mosquitto
    finally:
        mosquitto.stop()
