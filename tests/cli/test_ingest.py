"""``gridtide ingest`` and ``gridtide streams``, and what docs/streams.md shows, really run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from scheduler.cli.console import ExitCode
from scheduler.cli.processes import wanted_processes
from scheduler.db.models import Role
from scheduler.db.session import make_engine, make_session_factory, transaction
from scheduler.services import keys
from scheduler.services.fleet import replace_fleet
from scheduler.settings import Settings
from scheduler.specs import FleetSpec
from scheduler.streams import message_sources_of
from tests.api.world import FLEET
from tests.cli.server import gridtide
from tests.cli.test_serve import wait_until_ready
from tests.house.test_docs import blocks
from tests.peers.mosquitto import Mosquitto
from tests.peers.processes import free_ports, wait_until

PAGE = (Path(__file__).parents[2] / "docs" / "streams.md").read_text(encoding="utf-8")
PROGRAM = [sys.executable, "-m", "scheduler"]
_PATH = f"{os.environ['PATH']}:/usr/sbin"


def shown(word: str) -> str:
    """The block of the page that has a command."""
    (found,) = (text for text in blocks(PAGE, "") if re.search(rf"^{word} ", text, re.MULTILINE))
    return found


@contextmanager
def running(*words: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours, asked to end with the block; it ends by that."""
    process = subprocess.Popen([*PROGRAM, *words], env=environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in {0, -signal.SIGTERM}


def test_what_the_page_shows_is_pushed_published_and_stored(
    sqlite_url: str, mqtt: Mosquitto, tmp_path: Path
) -> None:
    """By curl and by mosquitto_pub, as it stands there but for the addresses."""
    engine = make_engine(sqlite_url)
    with transaction(make_session_factory(engine)) as session:
        replace_fleet(session, FleetSpec.model_validate(FLEET), "test", datetime.now(UTC))
        _, sender = keys.create_key(session, "s", Role.SENDER, datetime.now(UTC), ["DE"])
        _, reader = keys.create_key(session, "r", Role.OPERATOR, datetime.now(UTC))
    engine.dispose()
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    environment = {key: value for key, value in os.environ.items() if "GRIDTIDE" not in key} | {
        "GRIDTIDE_DATABASE_URL": sqlite_url,
        "GRIDTIDE_STATE_DIR": str(tmp_path),
        "GRIDTIDE_MQTT_URL": f"mqtt://127.0.0.1:{mqtt.port}",
        "GRIDTIDE_PORT": str(port),
        "GRIDTIDE_SERVER": address,
        "GRIDTIDE_API_KEY": sender,
        "PATH": _PATH,
    }

    def readings() -> dict[str, float]:
        headers = {"Authorization": f"Bearer {reader}"}
        rows: Any = httpx.get(f"{address}/v1/telemetry", headers=headers).json()
        return {row["source"]: row["value"] for row in rows}

    with running("api", environment=environment) as api, running("ingest", environment=environment):
        wait_until_ready(api, address, tmp_path / "none")  # type: ignore[arg-type]
        push = subprocess.run(
            ["bash", "-ec", shown("curl -sS")], env=environment, capture_output=True, check=True
        )
        assert json.loads(push.stdout)["stored"] == 1
        assert readings() == {"gateway-7": 41.5}
        schema = subprocess.run(
            ["bash", "-ec", shown("curl -s")], env=environment, capture_output=True, check=True
        )
        assert set(json.loads(schema.stdout)["properties"]) >= {"series", "at", "value", "unit"}
        publish = shown("mosquitto_pub").replace("-p 1883", f"-p {mqtt.port}")
        publish = publish.replace("localhost", "127.0.0.1")

        def arrives() -> bool:
            subprocess.run(["bash", "-ec", publish], env=environment, check=True)
            return readings().get("meter") == 42.0

        wait_until(arrives, "the published reading is stored")
        status = environment | {"GRIDTIDE_API_KEY": reader}
        told = subprocess.run(
            [*PROGRAM, "streams", "status", "--json"], env=status, capture_output=True, check=True
        )
    assert [row["stream"] for row in json.loads(told.stdout)] == ["http", "mqtt"]


@pytest.mark.parametrize("text", blocks(PAGE, "json"), ids=["reading", "signal"])
def test_messages_that_are_shown_are_of_the_form(text: str) -> None:
    """Every field of them."""
    from scheduler.specs.message import MESSAGE  # noqa: PLC0415

    assert MESSAGE.validate_json(text)


def test_without_a_broker_it_says_what_to_set(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And ends as after wrong usage."""
    monkeypatch.setenv("GRIDTIDE_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("GRIDTIDE_MQTT_URL", "")
    result = gridtide("ingest")
    assert result.exit_code == ExitCode.INVALID
    assert "GRIDTIDE_MQTT_URL" in result.output


@pytest.mark.parametrize(
    "url", ["mqtt://gridtide:hunter2@broker", "mqtt://", "mqtt://broker:99999", "mqtt://broker:x"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """A password in it is not told again."""
    from scheduler.services.errors import Invalid  # noqa: PLC0415

    with pytest.raises(Invalid, match="must be mqtt://HOST:PORT") as caught:
        message_sources_of(Settings(mqtt_url=url))
    assert "hunter2" not in str(caught.value)


def test_serve_carries_messages_where_there_is_a_broker() -> None:
    """Beside the five that are always there."""
    without = wanted_processes(Settings())
    assert without == ("api", "worker", "clock", "dispatcher", "control")
    assert wanted_processes(Settings(kafka_servers="a:1")) == (*without, "ingest")
    assert wanted_processes(Settings(mqtt_url="mqtt://a")) == (*without, "ingest")


def test_both_kinds_of_brokers_are_listened_to() -> None:
    """Each with its settings; secrets stand in no text of them."""
    settings = Settings.model_validate(
        {
            "mqtt_url": "mqtts://broker",
            "mqtt_username": "u",
            "mqtt_password": "hunter2",
            "kafka_servers": "a:1,b:2",
            "kafka_topics": "one, two",
            "kafka_username": "u",
            "kafka_password": "hunter2",
        }
    )
    mqtt, kafka = message_sources_of(settings)
    assert (mqtt.name, kafka.name) == ("mqtt", "kafka")
    assert (mqtt._broker.port, mqtt._broker.password) == (8883, "hunter2")  # type: ignore[attr-defined]
    assert kafka._cluster.topics == ("one", "two")  # type: ignore[attr-defined]
    said = f"{settings!r} {mqtt._broker!r} {kafka._cluster!r}"  # type: ignore[attr-defined]
    assert "hunter2" not in said
