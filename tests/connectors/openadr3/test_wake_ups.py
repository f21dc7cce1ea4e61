"""Being told that an event has changed: by webhook and by MQTT; both only make the poll come."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.vpp.openadr3.client import Credentials, Version, Vtn
from connectors.vpp.openadr3.notifier import MqttNotifier
from connectors.vpp.openadr3.subscription import Webhook
from connectors.vpp.openadr3.ven import OpenAdrVen
from tests.connectors.openadr3.scene import HASTY, NOON, TERMS
from tests.connectors.openadr3.vtn import SECRET, TestVtn, serving
from tests.peers import mosquitto
from tests.peers.mosquitto import Mosquitto

TOKEN = "t0ken-that-the-subscription-gives-away"  # noqa: S105 - of a server of our own
HERE = Webhook("https://us.example/v1/openadr/notifications", TOKEN)


@pytest.fixture(params=["3.1.0", "3.0.1"])
def either(request: pytest.FixtureRequest) -> Iterator[TestVtn]:
    """A VTN of either version."""
    with serving(TestVtn(request.param)) as vtn:
        yield vtn
    assert vtn.problems == []


@pytest.fixture
def vtn() -> Iterator[TestVtn]:
    """A VTN of 3.1.0, where we are registered."""
    with serving(TestVtn("3.1.0")) as vtn:
        vtn.kept["vens"].append({"id": "v-1", "venName": "gridtide", "clientID": "client"})
        yield vtn
    assert [each for each in vtn.problems if "/vens" not in each] == []


def client_of(vtn: TestVtn) -> Vtn:
    """Return who asks it."""
    return Vtn(vtn.base, Version(vtn.version), Credentials("us", SECRET), HASTY)


async def test_changes_of_events_are_subscribed_to_once(either: TestVtn) -> None:
    """With the address and the token that show that it is we; again where it forgot, or differs."""
    terms = replace(TERMS, webhook=HERE)
    if either.version == "3.0.1":
        terms = replace(terms, programs=frozenset({"dr", "pv"}))
    ven = OpenAdrVen(client_of(either), terms, lambda: NOON)
    for _ in range(2):
        await ven.events()
    subscriptions = either.kept["subscriptions"]
    programs = [each.get("programID") for each in subscriptions]
    assert programs == ([None] if either.version == "3.1.0" else ["dr", "pv"])
    (told,) = subscriptions[0]["objectOperations"]
    assert (told["callbackUrl"], told["bearerToken"]) == (HERE.url, TOKEN)
    assert (told["objects"], set(told["operations"])) == (["EVENT"], {"CREATE", "UPDATE", "DELETE"})
    told["bearerToken"] = "another"
    await ven.events()
    assert len(subscriptions) == len(programs)
    assert subscriptions[0]["objectOperations"][0]["bearerToken"] == TOKEN
    subscriptions.clear()
    await ven.events()
    assert len(subscriptions) == len(programs)


def within(seconds: float, is_so: Callable[[], bool]) -> bool:
    """Whether it comes to be so in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if is_so():
            return True
        time.sleep(0.02)
    return False


class Heard:
    """A notifier in a thread of its own, and how often it called."""

    def __init__(self, vtn: TestVtn) -> None:
        self.notifier = MqttNotifier(client_of(vtn), "gridtide", pauses_s=(0.05, 0.2))
        self.calls = 0

    def wake(self) -> None:
        """Be called."""
        self.calls += 1

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let it listen during the block."""
        stop = threading.Event()
        thread = threading.Thread(target=self.notifier.run, args=(self.wake, stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(30)
        assert not thread.is_alive()


def binding(broker: Mosquitto, **authentication: Any) -> dict[str, Any]:
    """Return what a VTN says of its broker."""
    uris = ["wss://broker.example/mqtt", f"mqtt://127.0.0.1:{broker.port}"]
    return {"URIS": uris, "serialization": "JSON", "authentication": authentication}


def test_a_change_that_is_told_by_mqtt_wakes_also_after_the_broker_was_away(
    vtn: TestVtn, mqtt: Mosquitto
) -> None:
    """Once when it listens, at each message on one of its topics, and again when it is back."""
    vtn.mqtt = binding(mqtt, method="ANONYMOUS")
    heard = Heard(vtn)
    with heard.running():
        assert within(20, heard.notifier.is_listening.is_set)
        assert heard.calls == 1
        mqtt.publish([b"whatever"], vtn.topics["UPDATE"])
        mqtt.publish([b"not ours"], "oadr/others/events/UPDATE")
        mqtt.publish([b""], vtn.topics["DELETE"])
        assert within(20, lambda: heard.calls == 3)
        mqtt.stop()
        assert within(20, lambda: not heard.notifier.is_listening.is_set())
        mqtt.start()
        assert within(20, lambda: heard.calls == 4)


def test_the_token_opens_a_broker_that_asks_for_one(
    vtn: TestVtn, mqtt: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """As the password; a token that is not right is said once, and shown to nobody."""
    folder = mqtt.folder.parent / "guarded-oadr"
    folder.mkdir()
    passwords = folder / "passwords"
    passwords.touch(mode=0o600)
    words = ["mosquitto_passwd", "-b", str(passwords), "us", "right-token"]
    subprocess.run(words, check=True, capture_output=True)
    access = f"allow_anonymous false\npassword_file {passwords}"
    vtn.next_token = "wr0ng-token"  # noqa: S105 - of a server of our own
    with mosquitto.running(folder, access) as guarded:
        vtn.mqtt = binding(guarded, method="OAUTH2_BEARER_TOKEN", username="{clientID}")
        heard = Heard(vtn)
        with heard.running():
            assert within(20, lambda: "refuses to connect" in caplog.text)
            vtn.tokens.clear()
            vtn.next_token = "right-token"  # noqa: S105 - of a server of our own
            assert within(20, heard.notifier.is_listening.is_set)
    assert "wr0ng-token" not in caplog.text
    assert caplog.text.count("refuses to connect") == 1


@pytest.mark.parametrize(
    ("offer", "said"),
    [
        (None, "offers no MQTT"),
        ({"URIS": ["mqtt://broker.example"], "authentication": {"method": "ANONYMOUS"}}, "mqtts"),
        ({"URIS": [], "authentication": {"method": "ANONYMOUS"}}, "MQTT.URIS"),
        ({"URIS": ["mqtts://b"], "authentication": {"method": "MAGIC"}}, "authentication.method"),
    ],
)
def test_what_cannot_be_listened_to_is_said_and_asked_for_again(
    vtn: TestVtn, caplog: pytest.LogCaptureFixture, offer: dict[str, Any] | None, said: str
) -> None:
    """Nothing but the news is missing: polling goes on."""
    vtn.mqtt = offer
    heard = Heard(vtn)
    with heard.running():
        assert within(20, lambda: said in caplog.text)
        asked = len(vtn.asked)
        assert within(20, lambda: len(vtn.asked) > asked)
    assert heard.calls == 0
    vtn.problems.clear()  # it is not as published on purpose


def test_a_certificate_that_is_none_is_told_and_leaves_nothing(
    vtn: TestVtn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The key the VTN gives is on disk only while it is used."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    keys = {"caCert": "no", "clientCert": "no", "clientKey": "n0-key"}
    vtn.mqtt = {
        "URIS": ["mqtts://127.0.0.1:1"],
        "serialization": "JSON",
        "authentication": {"method": "CERTIFICATE", **keys},
    }
    with Heard(vtn).running():
        assert within(20, lambda: "MQTT broker 127.0.0.1:1" in caplog.text)
    assert list(tmp_path.iterdir()) == []
    assert "n0-key" not in caplog.text
