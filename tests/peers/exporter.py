"""Pages of metrics as NVIDIA's DCGM exporter prints them, served on loopback.

The form is that of its README: a HELP and a TYPE line for each field, then one line for each GPU
with these labels. A GPU that is cut into instances has a line for each, with its own UUID.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_FIELDS = (
    ("DCGM_FI_DEV_SM_CLOCK", "SM clock frequency (in MHz)."),
    ("DCGM_FI_DEV_POWER_USAGE", "Power draw (in W)."),
)
_SM_CLOCK_MHZ = 1980

DRAWN = {"n1": {0: 300.0, 1: 310.0}, "n2": {0: 80.0}}
"""What GPUs of two nodes draw at first [W]."""


@dataclass
class Exporter:
    """The exporter of one node; ``watts`` by index of the GPU, and the pods that share it."""

    host: str
    watts: dict[int, float]
    pods: dict[int, tuple[str, ...]] = field(default_factory=dict)
    is_silent: bool = False
    clock_ahead_s: float = 0.0  # by which it dates its page
    packed_as: str = ""  # what it says of its page, which it never packs
    url: str = ""

    def page(self) -> str:
        """What it prints now."""
        lines: list[str] = []
        for name, text in _FIELDS:
            lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
            for index, watts in self.watts.items():
                value = f"{watts:.6f}" if name == "DCGM_FI_DEV_POWER_USAGE" else _SM_CLOCK_MHZ
                for pod in self.pods.get(index, ("",)):
                    lines.append(f"{name}{{{self._labels(index, pod)}}} {value}")
        return "\n".join(lines) + "\n"

    def _labels(self, index: int, pod: str) -> str:
        labels = {
            "gpu": str(index),
            "UUID": f"GPU-{self.host}-{index}",
            "pci_bus_id": f"00000000:{index + 1:02X}:00.0",
            "device": f"nvidia{index}",
            "modelName": "NVIDIA H100 80GB HBM3",
            "Hostname": self.host,
            "DCGM_FI_DRIVER_VERSION": "550.90.07",
        }
        if pod:
            labels |= {"container": "main", "namespace": "gridtide-jobs", "pod": pod}
        return ",".join(f'{name}="{value}"' for name, value in labels.items())


@contextmanager
def served(exporter: Exporter) -> Iterator[Exporter]:
    """Serve its page until the end of the block; while it is silent, every request fails."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Print the page, unless who asked has given up waiting."""
            with suppress(ConnectionError):
                self._answer()

        def _answer(self) -> None:
            if exporter.is_silent:
                self.send_error(503)
                return
            body = exporter.page().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            if exporter.packed_as:
                self.send_header("Content-Encoding", exporter.packed_as)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def date_time_string(self, timestamp: float | None = None) -> str:
            """Date the answer by its own clock."""
            return super().date_time_string((timestamp or time.time()) + exporter.clock_ahead_s)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    exporter.url = f"http://127.0.0.1:{server.server_port}/metrics"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield exporter
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
