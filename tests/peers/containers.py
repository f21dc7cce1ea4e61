"""What a fake kubelet runs: the command of a container as a process of this machine, for real.

Files are shared with this machine, so a path below a mount is replaced by the folder that stands
for the volume, wherever it begins a variable or an argument.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_CANNOT_START = 128  # as containerd has it
_READ_BYTES = 1 << 16
_REFERENCE = re.compile(r"\$(\$|\(([^()$]+)\))")


def now() -> str:
    """Return this instant as Kubernetes writes it: whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` and ``$$`` as the kubelet does."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[1] == "$" else variables.get(found[2], found[0])

    return _REFERENCE.sub(value, text)


def field_of(pod: Mapping[str, Any], path: str) -> str:
    """Return what a ``fieldRef`` names."""
    keyed = re.fullmatch(r"metadata\.(annotations|labels)\['(.+)'\]", path)
    if keyed is not None:
        return str(pod["metadata"].get(keyed[1], {}).get(keyed[2], ""))
    value: Any = pod
    for part in path.split("."):
        value = value.get(part, {})
    return str(value)


def environment(
    pod: Mapping[str, Any], container: Mapping[str, Any], of_node: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables of a container; what the node sets wins."""
    variables: dict[str, str] = {}
    for entry in container.get("env", []):
        source = entry.get("valueFrom", {}).get("fieldRef")
        if source is None:
            variables[entry["name"]] = expand(entry.get("value", ""), variables)
        else:
            variables[entry["name"]] = field_of(pod, source["fieldPath"])
    return {"PATH": os.environ["PATH"], **variables, **of_node}


def mounted(
    pod: Mapping[str, Any], container: Mapping[str, Any], variables: Mapping[str, str], root: Path
) -> dict[str, Path]:
    """Return the folder that stands for each mount path; downward files are written."""
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
    folders: dict[str, Path] = {}
    for mount in container.get("volumeMounts", []):
        volume = volumes[mount["name"]]
        below = expand(mount.get("subPathExpr", ""), variables) or mount.get("subPath", "")
        folder = _volume(pod, volume, root) / below
        folder.mkdir(parents=True, exist_ok=True)
        folders[mount["mountPath"]] = folder
    write_downward(pod, root)
    return folders


def write_downward(pod: Mapping[str, Any], root: Path) -> None:
    """Write what downward volumes show of the pod as it is now."""
    for volume in pod["spec"].get("volumes", []):
        for item in volume.get("downwardAPI", {}).get("items", []):
            folder = _volume(pod, volume, root)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / item["path"]).write_text(field_of(pod, item["fieldRef"]["fieldPath"]))


def _volume(pod: Mapping[str, Any], volume: Mapping[str, Any], root: Path) -> Path:
    meta = pod["metadata"]
    if "hostPath" in volume:
        return Path(volume["hostPath"]["path"])
    if "persistentVolumeClaim" in volume:
        return root / "claims" / meta["namespace"] / volume["persistentVolumeClaim"]["claimName"]
    return root / "pods" / meta["uid"] / volume["name"]


@dataclass
class Container:
    """One run of a container's command, its output, and how it ended."""

    name: str
    image: str
    started_at: str = field(default_factory=lambda: now())  # noqa: PLW0108 - tests set it
    finished_at: str | None = None
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    output: bytearray = field(default_factory=bytearray)
    _process: asyncio.subprocess.Process | None = None
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def status(self) -> dict[str, Any]:
        """Its entry among the pod's container statuses."""
        if self.finished_at is None:
            state: dict[str, Any] = {"running": {"startedAt": self.started_at}}
        else:
            state = {
                "terminated": {
                    "exitCode": self.exit_code,
                    "reason": self.reason,
                    "message": self.message,
                    "startedAt": self.started_at,
                    "finishedAt": self.finished_at,
                }
            }
        is_running = self.finished_at is None
        return {
            "name": self.name,
            "image": self.image,
            "imageID": self.image,
            "ready": is_running,
            "started": is_running,
            "restartCount": 0,
            "state": state,
        }

    async def run(self, command: Sequence[str], variables: Mapping[str, str], cwd: Path) -> bool:
        """Start the command in a group of its own; False where it cannot be started."""
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=dict(variables),
                cwd=cwd,
                start_new_session=True,
            )
        except OSError as error:
            self.message = f"failed to create containerd task: {error}"
            await self._end(_CANNOT_START, "StartError")
            return False
        return True

    async def watch(self) -> None:
        """Keep its output; return when it has ended, and everything it started with it."""
        process = self._process
        if process is None or process.stdout is None:
            return
        reading = asyncio.create_task(self._read(process.stdout))
        code = await process.wait()
        self._signal_group(signal.SIGKILL)  # as the end of process 1 ends its namespace
        await reading
        number = 128 - code if code < 0 else code
        await self._end(number, self.reason or ("Completed" if number == 0 else "Error"))

    async def stop(self, grace_s: float) -> None:
        """Ask it to leave, as a kubelet does, and kill it when its grace is over."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), grace_s)
        except TimeoutError:
            self.kill()

    async def gone(self) -> None:
        """Return once it has ended and all its output is read."""
        async with self._news:
            await self._news.wait_for(lambda: self.finished_at is not None)

    def kill(self, reason: str = "") -> None:
        """Kill the whole group, for example because it is out of memory."""
        self.reason = self.reason or reason
        self._signal_group(signal.SIGKILL)

    async def lines(self, *, follow: bool) -> AsyncIterator[bytes]:
        """Yield its output, as it comes; with ``follow`` until it has ended."""
        offset = 0
        while part := await self._after(offset, is_awaited=follow):
            offset += len(part)
            yield part
            if not follow:
                return

    async def _after(self, offset: int, *, is_awaited: bool) -> bytes:
        async with self._news:
            if is_awaited:
                await self._news.wait_for(
                    lambda: len(self.output) > offset or self.finished_at is not None
                )
            return bytes(self.output[offset:])

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while part := await stream.read(_READ_BYTES):
            async with self._news:
                self.output += part
                self._news.notify_all()

    async def _end(self, code: int, reason: str) -> None:
        async with self._news:
            self.exit_code, self.reason, self.finished_at = code, reason, now()
            self._news.notify_all()

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
