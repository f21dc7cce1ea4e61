"""A SunSpec plant in another process, whose knobs a test turns; it can be stopped and silenced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pymodbus.client import ModbusTcpClient

from tests.peers.processes import free_ports, listens, wait_until
from tests.peers.sunspec_plant import Knob

ROOT = Path(__file__).parents[2]
_KNOBS = 99


@dataclass
class SunSpecPlant:
    """One plant of a kind of ``sunspec_plant.KINDS``."""

    kind: str
    port: int = field(default_factory=lambda: free_ports(1)[0])
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, half full and at rest."""
        self._process = start_plants(self.kind, [self.port])

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it take connections and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def turn(self, knob: Knob, value: int) -> None:
        """Turn a knob; those of two registers are signed."""
        turn(self.port, knob, value)


def start_plants(kind: str, ports: Sequence[int]) -> subprocess.Popen[bytes]:
    """Start a process with a plant at each port."""
    command = [sys.executable, "-m", "tests.peers.sunspec_plant", kind, *map(str, ports)]
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths})
    wait_until(lambda: all(map(listens, ports)), f"{len(ports)} {kind} plants listen")
    return process


def turn(port: int, knob: Knob, value: int) -> None:
    """Turn a knob of the plant at a port."""
    is_long = knob in {Knob.TURN_S, Knob.LOAD_W}
    data = value.to_bytes(4 if is_long else 2, "big", signed=is_long)
    words = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
    client = ModbusTcpClient("127.0.0.1", port=port)
    assert client.connect()
    try:
        assert not client.write_registers(int(knob), words, device_id=_KNOBS).isError()
    finally:
        client.close()


@contextmanager
def running(kind: str) -> Iterator[SunSpecPlant]:
    """Start one, and end it with the block."""
    plant = SunSpecPlant(kind)
    plant.start()
    try:
        yield plant
    finally:
        plant.stop()
