"""Daemons a test starts: free ports, waiting until something is true, and ending by pid."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_PORTS_GIVEN = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LEAST_PORT = 10_000
_TRIES = 100
_LOOK_EVERY_S = 0.05
_ENDS_WITHIN_S = 10.0


def peers() -> Path:
    """Return the folder that peers are built into."""
    cache = os.environ.get("GRIDTIDE_PEERS")
    return Path(cache) if cache else Path.home() / ".cache" / "gridtide" / "peers"


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that nobody listens on, all different.

    They are of those that the kernel gives to nobody who asks for any, so that a daemon that is
    started again finds its own free.
    """
    first = int(_PORTS_GIVEN.read_text().split()[0])
    candidates = random.sample(range(_LEAST_PORT, first), k=_TRIES + count)
    free = [port for port in candidates if _is_free(port)]
    return free[:count]


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_until(is_so: Callable[[], bool], what: str, within_s: float = 30.0) -> None:
    """Wait until something is so; ``AssertionError`` naming ``what`` where it is not in time."""
    give_up_at = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > give_up_at:
            raise AssertionError(f"not within {within_s:g} s: {what}")
        time.sleep(_LOOK_EVERY_S)


def start_daemon(
    command: Sequence[str], pid_file: Path, log: Path, environment: Mapping[str, str]
) -> None:
    """Start what does not go into the background by itself, as nobody's child of ours."""
    in_background = '"$@" </dev/null >>"$LOG" 2>&1 & echo $! >"$PID_FILE"'
    subprocess.run(
        ["sh", "-c", in_background, "sh", *command],
        check=True,
        env={**environment, "LOG": str(log), "PID_FILE": str(pid_file)},
    )


def listens(port: int) -> bool:
    """Whether somebody takes connections at a port of the loopback interface."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def pid_in(file: Path) -> int | None:
    """Return the pid a daemon wrote down, ``None`` where it wrote none."""
    try:
        return int(file.read_text())
    except (FileNotFoundError, ValueError):
        return None


def pids_where(file: str, is_wanted: Callable[[bytes], bool]) -> list[int]:
    """Return the processes whose ``file`` in /proc is wanted, lowest first."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                if is_wanted((entry / file).read_bytes()):
                    found.append(int(entry.name))
    return sorted(found)


def parent_of(pid: int) -> int:
    """Return the parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])


def end(pids: Iterable[int | None]) -> None:
    """Ask processes to end, then make them; returns once they are gone."""
    left = [pid for pid in pids if pid is not None]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in left:
            _signal(pid, number)
        give_up_at = time.monotonic() + _ENDS_WITHIN_S
        while left and time.monotonic() < give_up_at:
            left = [pid for pid in left if lives(pid)]
            time.sleep(_LOOK_EVERY_S)


def lives(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not collected does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat[stat.rindex(")") + 2] not in "ZX"


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # which is what it is for
