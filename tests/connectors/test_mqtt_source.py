"""MQTT: what a broker does to a source, and what a source makes of it."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.errors import ConnectorError, Rejected, Unavailable
from connectors.streams.backoff import Backoff
from connectors.streams.mqtt import MqttBroker, MqttSource
from tests.contracts.message_source import bodies, numbered, receive
from tests.peers import mosquitto
from tests.peers.mosquitto import Mosquitto
from tests.peers.processes import free_ports

QUICK = (0.05, 0.2)
OPENS = "opens one broker of a test"
WRONG = "hunter2"


@pytest.fixture
def guarded(mqtt: Mosquitto) -> Iterator[Mosquitto]:
    """The same broker, that knows one user, who may read everything but under ``closed/``."""
    folder = mqtt.folder.parent / "guarded"
    folder.mkdir()
    passwords, rights = folder / "passwords", folder / "rights"
    passwords.touch(mode=0o600)
    words = ["mosquitto_passwd", "-b", str(passwords), "gridtide", OPENS]
    subprocess.run(words, check=True, capture_output=True)
    rights.write_text("user gridtide\ntopic readwrite gridtide/#\n")
    access = f"allow_anonymous false\npassword_file {passwords}\nacl_file {rights}"
    with mosquitto.running(folder, access) as broker:
        yield broker


async def error_of(source: MqttSource) -> ConnectorError:
    """What the first try to receive fails with."""
    with pytest.raises(ConnectorError) as caught:
        await asyncio.wait_for(source.receive(), 20)
    assert not source.is_connected
    await source.close()
    return caught.value


async def test_a_broker_that_restarts_is_found_again(mqtt: Mosquitto) -> None:
    """What was out comes again, and nothing that was acknowledged."""
    source = MqttSource(mqtt.broker, backoff=Backoff(*QUICK))
    waiting = asyncio.create_task(receive(source, 1))
    await asyncio.sleep(0.3)
    await asyncio.to_thread(mqtt.publish, numbered(0, 5))
    messages = [*await waiting]
    messages += await receive(source, 5 - len(messages))
    await source.acknowledge(messages[:3])
    await asyncio.sleep(0.3)
    await asyncio.to_thread(mqtt.stop)
    with pytest.raises(Unavailable, match="is lost"):
        await source.receive()
    assert not source.is_connected
    await source.acknowledge(messages[3:])  # of a connection that is lost: no harm
    with pytest.raises(Unavailable, match="Connection refused"):
        await source.receive()
    await asyncio.to_thread(mqtt.start)
    again = await receive(source, 2)
    assert bodies(again) == numbered(3, 5)
    await source.acknowledge(again)
    await source.close()


async def test_nobody_there_is_unavailable() -> None:
    """Again and again, more and more seldom."""
    backoff = Backoff(0.01, 0.02)
    source = MqttSource(MqttBroker("127.0.0.1", free_ports(1)[0]), backoff=backoff)
    pauses = []
    for _ in range(4):
        assert isinstance(await error_of(source), Unavailable)
        pauses.append(backoff.most_s)
    assert pauses == [0.01, 0.02, 0.02, 0.02]


async def test_a_wrong_password_is_rejected_and_not_told(guarded: Mosquitto) -> None:
    """A person has to look; whoever reads the log learns no secret."""
    wrong = replace(guarded.broker, username="gridtide", password=WRONG)
    error = await error_of(MqttSource(wrong))
    assert isinstance(error, Rejected)
    assert str(guarded.port) in str(error)
    assert WRONG not in f"{error!r} {wrong!r}"


async def test_a_right_password_opens(guarded: Mosquitto) -> None:
    """And the session is there at once, for what is published from then on."""
    source = MqttSource(replace(guarded.broker, username="gridtide", password=OPENS))
    waiting = asyncio.create_task(source.receive())
    await asyncio.sleep(0.5)
    assert not waiting.done()
    assert source.is_connected
    waiting.cancel()
    await source.close()


async def test_the_topic_says_for_which_site(mqtt: Mosquitto) -> None:
    """What stands right after the prefix; where nothing does, for none."""
    source = MqttSource(replace(mqtt.broker, topic_prefix="plant/gridtide"))
    waiting = asyncio.create_task(receive(source, 3))
    await asyncio.sleep(0.3)
    for topic in ("plant/gridtide/DE/meter", "plant/gridtide/FR/a/b", "plant/gridtide/DE"):
        await asyncio.to_thread(mqtt.publish, [b"x"], topic)
    told = [one.sites for one in await waiting]
    assert told == [frozenset({"DE"}), frozenset({"FR"}), frozenset()]
    await source.close()


async def test_what_is_sent_at_most_once_has_no_ticket(mqtt: Mosquitto) -> None:
    """QoS 0 is passed on, and acknowledging it is nothing."""
    source = MqttSource(mqtt.broker)
    waiting = asyncio.create_task(receive(source, 1))
    await asyncio.sleep(0.3)
    await asyncio.to_thread(mqtt.publish, [b"x"], "gridtide/DE/x", 0)
    (message,) = await waiting
    assert message.ticket == ()
    await source.acknowledge([message])
    await source.close()


async def test_a_flood_that_cannot_be_held_up_is_left_in_the_network(mqtt: Mosquitto) -> None:
    """More QoS 0 than may be held: it comes, but is not all in memory at once."""
    source = MqttSource(mqtt.broker, most_held=10)
    waiting = asyncio.create_task(receive(source, 1))
    await asyncio.sleep(0.3)
    await asyncio.to_thread(mqtt.publish, numbered(0, 3000), "gridtide/DE/x", 0)
    await asyncio.sleep(0.5)
    messages = [*await waiting]
    while len(messages) < 3000:
        some = await receive(source, 1)
        assert len(some) <= 11
        messages += some
    assert bodies(messages) == numbered(0, 3000)
    await source.close()


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A certificate of the machine that is its own authority."""
    folder = tmp_path / "tls"
    folder.mkdir()
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    key = ["-newkey", "rsa:2048", "-nodes", "-keyout", str(folder / "key.pem")]
    words = ["openssl", "req", "-x509", *key, "-out", str(folder / "ca.pem"), "-days", "1"]
    subprocess.run([*words, *subject], check=True, capture_output=True)
    return folder


@pytest.mark.filterwarnings(  # the client leaves the socket of a failed handshake to be collected
    "ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
)
async def test_tls_is_spoken_and_strangers_are_not_trusted(
    mqtt: Mosquitto, certificates: Path
) -> None:
    """A thousand messages come whole; an authority nobody named is no authority."""
    mqtt.stop()
    mqtt.access = (
        f"allow_anonymous true\nlistener {(port := free_ports(1)[0])} 127.0.0.1\n"
        f"cafile {certificates / 'ca.pem'}\ncertfile {certificates / 'ca.pem'}\n"
        f"keyfile {certificates / 'key.pem'}"
    )
    mqtt.start()
    secure = replace(mqtt.broker, port=port, is_tls=True)
    assert "CERTIFICATE_VERIFY_FAILED" in str(await error_of(MqttSource(secure)))
    source = MqttSource(replace(secure, ca_file=certificates / "ca.pem"))
    waiting = asyncio.create_task(receive(source, 1000))
    await asyncio.sleep(0.5)
    await asyncio.to_thread(mqtt.publish, numbered(0, 1000))
    assert bodies(await waiting) == numbered(0, 1000)
    await source.close()
