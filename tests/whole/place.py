"""A site with a local cluster and a battery by Modbus, and all our programs, on one clock."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from scheduler.timekeeping import Now, accelerated_now
from tests.connectors.openadr3.vtn import SECRET, TestVtn
from tests.peers.processes import free_ports
from tests.peers.sunspec import SunSpecPlant

START = datetime(2026, 6, 8, tzinfo=UTC)
FACTOR = 60.0  # a minute of the day takes a second
ROOT = Path(__file__).parents[2]
SITE, BATTERY = "home", "bess"
OPENADR = """
url = "{url}"
client_id = "us"
ven_name = "gridtide"
breach_eur_per_kwh = 50.0
ramp_minutes = 5
[[sites]]
site = "home"
resource = "N1"
contract_kw = 20
"""
_NOT_OVER = {"waiting", "queued", "running", "suspended"}
_PROGRAMS = ("api", "worker", "clock", "dispatcher", "control")


@dataclass
class Place:
    """What a test turns and looks at."""

    api: httpx.Client
    now: Now
    vtn: TestVtn
    plant: SunSpecPlant

    def get(self, path: str, **query: object) -> Any:
        """Return what is at ``path``."""
        answer = self.api.get(path, params=query)
        assert answer.is_success, (path, answer.text)
        return answer.json()

    def send(self, method: str, path: str, body: object) -> Any:
        """Send a request that must be taken."""
        answer = self.api.request(method, path, json=body)
        assert answer.is_success, (path, answer.text)
        return answer.json()

    def until(self, instant: datetime) -> None:
        """Let the clock come to ``instant``."""
        while (left := (instant - self.now()) / timedelta(seconds=1)) > 0:
            time.sleep(min(1.0, left / FACTOR))

    def wait_for(self, what: str, is_so: Callable[[], object], within: timedelta) -> None:
        """Look again and again until it is so, on this clock."""
        last = self.now() + within
        while not is_so():
            assert self.now() < last, f"not within {within}: {what}"
            time.sleep(0.2)


@contextmanager
def running(folder: Path, vtn: TestVtn, plant: SunSpecPlant) -> Iterator[Place]:
    """Run every program. With the block end the jobs, their supervisors, and then the programs."""
    port = free_ports(1)[0]
    (folder / "openadr.toml").write_text(OPENADR.format(url=vtn.base))
    ours = {
        "GRIDTIDE_STATE_DIR": str(folder / "state"),
        "GRIDTIDE_PORT": str(port),
        "GRIDTIDE_OPENADR": str(folder / "openadr.toml"),
        "GRIDTIDE_OPENADR_CLIENT_SECRET": SECRET,
        "GRIDTIDE_GRID_SIDE_EVERY_S": "0.5",
        "GRIDTIDE_DISPATCH_EVERY_S": "0.5",
        "PYTHONPATH": str(ROOT),
    }
    environment = {name: value for name, value in os.environ.items() if "GRIDTIDE" not in name}
    environment |= ours
    key = _first_key(environment)
    began_s = time.monotonic()
    with ExitStack() as stack:
        for name in _PROGRAMS:
            stack.callback(_end, _begin(name, began_s, environment, folder / f"{name}.log"))
        headers = {"Authorization": f"Bearer {key}"}
        api = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30)
        stack.callback(api.close)
        place = Place(api, accelerated_now(START, FACTOR, began_s), vtn, plant)
        place.wait_for("the API answers", lambda: _answers(api), timedelta(hours=2))
        stack.callback(_end_jobs, place)
        yield place


def _end_jobs(place: Place) -> None:
    """Cancel every job and wait until its cluster has ended it, and with it its supervisor."""

    def left() -> list[dict[str, Any]]:
        jobs = place.get("/v1/jobs")["items"]
        return [job for job in jobs if job["status"] in _NOT_OVER]

    for job in left():
        place.send("POST", f"/v1/jobs/{job['id']}/cancel", None)
    place.wait_for("all jobs are over", lambda: not left(), timedelta(hours=1))


def _first_key(environment: dict[str, str]) -> str:
    def gridtide(*words: str) -> str:
        command = [sys.executable, "-m", "scheduler", *words]
        told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return told.stdout

    gridtide("db", "upgrade")
    return gridtide("keys", "create", "operator", "--role", "admin").splitlines()[-1].strip()


def _begin(
    name: str, began_s: float, environment: dict[str, str], log: Path
) -> subprocess.Popen[bytes]:
    clock = (START.isoformat(), str(FACTOR), str(began_s))
    command = [sys.executable, "-m", "tests.whole.program", name, *clock]
    with log.open("wb") as out:
        return subprocess.Popen(command, env=environment, stdout=out, stderr=out, cwd=ROOT)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _answers(api: httpx.Client) -> bool:
    try:
        return api.get("/v1/fleet").status_code in {200, 404}
    except httpx.TransportError:
        return False
