"""A real Prometheus on this machine, which scrapes what it is told to twice a second."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.peers.exporter import Exporter
from tests.peers.processes import end, free_ports, pid_in, start_daemon

_SCRAPES = {"scrape_interval": "500ms", "scrape_timeout": "400ms"}


def why_not() -> str | None:
    """Say why none can be started here; ``None`` where one can."""
    if shutil.which("prometheus") is None:
        return "needs a real Prometheus, missing here: prometheus"
    return None


@dataclass(frozen=True, slots=True)
class Scraping:
    """One that runs, and the exporters it scrapes, by host."""

    url: str
    exporters: dict[str, Exporter]

    def number(self, query: str) -> float | None:
        """What it answers to a query of one number; ``None`` where that is nothing."""
        try:
            reply = httpx.get(f"{self.url}/api/v1/query", params={"query": query})
        except httpx.TransportError:
            return None
        found = reply.json()["data"]["result"] if reply.is_success else []
        return float(found[0]["value"][1]) if found else None


@contextmanager
def running(folder: Path, exporters: Sequence[Exporter]) -> Iterator[Scraping]:
    """Start one, and end it with the block."""
    (port,) = free_ports(1)
    scraping = Scraping(f"http://127.0.0.1:{port}", {one.host: one for one in exporters})
    targets = [urlsplit(one.url).netloc for one in exporters]
    job = {"job_name": "dcgm", "static_configs": [{"targets": targets}]}
    config = folder / "prometheus.yml"
    config.write_text(json.dumps({"global": _SCRAPES, "scrape_configs": [job]}))
    start_daemon(
        [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        folder / "pid",
        folder / "log",
        {"PATH": "/usr/bin:/bin"},
    )
    try:
        yield scraping
    finally:
        end([pid_in(folder / "pid")])
