"""``gridtide serve`` and its processes, really started."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.clusters.local.cluster import LocalCluster, LocalPool
from scheduler.cli.console import ExitCode
from tests.cli.server import gridtide
from tests.cli.test_supervise import is_alive, until
from tests.contracts.waiting import end_everything
from tests.peers.processes import free_ports
from tests.services.builders import fleet_spec

HOUR = timedelta(hours=1)
EVENT = """
[[events]]
external_id = "dr-1"
site = "DE"
start_at = {start:%Y-%m-%dT%H:%M:%SZ}
end_at = 2199-01-01T00:00:00Z
limit_kw = 60
breach_eur_per_kwh = 5
known_at = {now:%Y-%m-%dT%H:%M:%SZ}
"""
FLEET = fleet_spec().model_dump(mode="json")

PROGRAM = [sys.executable, "-m", "scheduler"]


def children_of(pid: int) -> list[int]:
    """Direct children of a process."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A state folder and a port of its own, and a simulated grid side that calls one event."""
    script = tmp_path / "events.toml"
    script.write_text(EVENT.format(now=datetime.now(UTC), start=datetime.now(UTC) + HOUR))
    ours = {
        "GRIDTIDE_STATE_DIR": str(tmp_path / "state"),
        "GRIDTIDE_PORT": str(free_ports(1)[0]),
        "GRIDTIDE_SIMULATED_VPP": str(script),
        "GRIDTIDE_GRID_SIDE_EVERY_S": "0.2",
    }
    return {key: value for key, value in os.environ.items() if "GRIDTIDE" not in key} | ours


@pytest.fixture
def server(
    environment: dict[str, str], tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A started ``serve`` that answers, and its address."""
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(
            [*PROGRAM, "serve"], env=environment, stdout=output, stderr=output, text=True
        )
    address = f"http://127.0.0.1:{environment['GRIDTIDE_PORT']}"
    try:
        wait_until_ready(process, address, tmp_path / "output")
        yield process, address
    finally:
        process.terminate()
        process.wait(30)


def wait_until_ready(process: subprocess.Popen[str], address: str, output: Path) -> None:
    """Wait until the API says that it is ready."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, output.read_text()
        try:
            if httpx.get(f"{address}/health/ready").status_code == HTTPStatus.OK:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(output.read_text())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_serve_runs_five_processes_and_ends_them(
    server: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    """The printed key opens the API, and an event of the grid side comes in with the fleet.

    The address is printed once, by when it answers.

    Ctrl-C ends all five processes with exit code 0.
    """
    process, address = server
    children = children_of(process.pid)
    assert len(children) == 5
    until(lambda: f"Plans: {address}/ " in (tmp_path / "output").read_text())
    headers = {"Authorization": f"Bearer {first_key(tmp_path)}"}
    assert httpx.get(f"{address}/v1/jobs", headers=headers).json()["items"] == []
    assert httpx.put(f"{address}/v1/fleet", headers=headers, json=FLEET).is_success
    event = f"{address}/v1/grid-events/dr-1"
    until(lambda: httpx.get(event, headers=headers).is_success)
    assert httpx.get(event, headers=headers).json()["received_from"] == "vpp"
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == ExitCode.OK
    assert not any(is_alive(pid) for pid in children)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_it_ends_though_somebody_follows_a_log(
    server: tuple[subprocess.Popen[str], str], tmp_path: Path, how: signal.Signals
) -> None:
    """Told to, or with its parent: who follows is broken off, and no process has to be killed."""
    process, address = server
    children = children_of(process.pid)
    cluster = LocalCluster("DE", tmp_path / "state" / "clusters" / "DE", [LocalPool("a100", 8)])
    headers = {"Authorization": f"Bearer {first_key(tmp_path)}"}
    with httpx.Client(base_url=address, headers=headers, timeout=60.0) as client:
        assert client.put("/v1/fleet", json=FLEET).is_success
        assert client.post("/v1/jobs", json=due_now()).is_success
        until(lambda: client.get("/v1/jobs/endless").json()["status"] == "running")
        with client.stream("GET", "/v1/jobs/endless/logs", params={"follow": True}) as followed:
            lines = followed.iter_lines()
            assert next(lines) == "up"
            process.send_signal(how)
            with pytest.raises(httpx.RemoteProtocolError):
                list(lines)
    process.wait(30)
    until(lambda: not any(is_alive(pid) for pid in children))
    assert "is killed" not in (tmp_path / "output").read_text()
    await end_everything(cluster)


def due_now() -> dict[str, Any]:
    """A job that has to be started at once to be done in time."""
    now = datetime.now(UTC)
    return {
        "name": "endless",
        "work_hours": 1.0,
        "operating_points": [{"pool": "a100", "gpus": 1, "kw": 1.0}],
        "release_at": (now - HOUR).isoformat(),
        "deadline_at": (now + 1.1 * HOUR).isoformat(),
        "command": ["sh", "-c", "echo up; exec sleep 600"],
    }


def first_key(tmp_path: Path) -> str:
    """The key that was printed at the first start."""
    printed = re.search(r"^gt_\S+", (tmp_path / "output").read_text(), re.MULTILINE)
    assert printed is not None
    return printed[0]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_processes_end_with_their_parent(server: tuple[subprocess.Popen[str], str]) -> None:
    """A kill -9 of ``serve`` leaves nothing behind that would serve or dispatch on."""
    process, _ = server
    children = children_of(process.pid)
    process.kill()
    process.wait()
    until(lambda: not any(is_alive(pid) for pid in children))


@pytest.mark.parametrize("name", ["api", "worker", "clock", "dispatcher"])
def test_a_process_refuses_a_database_without_schema(
    name: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to do instead of failing later."""
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    ended = gridtide(name)
    assert ended.exit_code == ExitCode.INVALID
    assert "gridtide db upgrade" in ended.output


def test_a_port_that_is_taken_is_named(environment: dict[str, str]) -> None:
    """The exit code is that of what is unexpected, not that of a missed deadline."""
    quiet: Any = {"env": environment, "capture_output": True, "text": True, "timeout": 60}
    subprocess.run([*PROGRAM, "db", "upgrade"], check=True, **quiet)
    where = f"127.0.0.1:{environment['GRIDTIDE_PORT']}"
    with socket.create_server(("127.0.0.1", int(environment["GRIDTIDE_PORT"]))):
        told = subprocess.run([*PROGRAM, "api"], check=False, **quiet)
    assert told.returncode == ExitCode.UNEXPECTED
    assert f"does not start on {where}" in told.stderr


def test_the_api_alone_ends_in_good_order(environment: dict[str, str], tmp_path: Path) -> None:
    """Ctrl-C is how it is told to: exit code 0, as of every other process."""
    subprocess.run([*PROGRAM, "db", "upgrade"], env=environment, check=True, capture_output=True)
    address = f"http://127.0.0.1:{environment['GRIDTIDE_PORT']}"
    with (
        (tmp_path / "api").open("w") as output,
        subprocess.Popen(
            [*PROGRAM, "api"], env=environment, stdout=output, stderr=output, text=True
        ) as process,
    ):
        wait_until_ready(process, address, tmp_path / "api")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == ExitCode.OK
