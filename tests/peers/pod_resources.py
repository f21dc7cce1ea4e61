"""The kubelet's socket of pod resources, served by the kubelet's own code for what a test says.

Built with the Kubernetes that tests drive (``make peer-kubernetes``).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

from tests.peers.kubernetes import DIE_WITH_US, programs
from tests.peers.processes import wait_until

HOW_TO_GET_IT = "Kubernetes is built without pod-resources (make peer-kubernetes): skipped"
_STOPS_WITHIN_S = 10.0


def program() -> Path | None:
    """Return the program, or None where it is not built."""
    built = programs()
    path = None if built is None else built / "pod-resources"
    return path if path is not None and path.exists() else None


class PodResourcesSocket:
    """The socket; it can go and come back, as with a kubelet that is started again."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="kubelet-"))  # its name must be short
        self.path = self._folder / "kubelet.sock"
        self._file = self._folder / "pods.json"
        self._process: subprocess.Popen[bytes] | None = None
        self.shown: list[dict[str, Any]] = []
        self._showing = threading.Lock()
        self._is_removed = False
        self.show([])

    def show(self, pods: list[dict[str, Any]]) -> None:
        """Say from now on that these pods are there, with the devices of their containers."""
        with self._showing:
            self.shown = pods
            if self._is_removed:  # the node ends after its socket
                return
            beside = self._folder / ".pods.json"
            beside.write_text(json.dumps(pods))
            beside.replace(self._file)

    def start(self) -> None:
        """Serve; return once somebody can ask."""
        built = program()
        if built is None:
            raise AssertionError(HOW_TO_GET_IT)
        self.path.unlink(missing_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*DIE_WITH_US, built, self.path, self._file],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self.path.is_socket, "pod resources are served")

    def stop(self) -> None:
        """Be gone, socket and all."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_STOPS_WITHIN_S)
            self._process = None
        self.path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Stop, and take the files away."""
        self.stop()
        with self._showing:
            self._is_removed = True
            shutil.rmtree(self._folder)
