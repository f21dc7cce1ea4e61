"""An API server that has nothing but many Jobs, their pods and nodes, and says so at once.

What it lists is what a real one would: Jobs as the connector makes them, with the status that the
controllers give them. Its watches say nothing new.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

from connectors.clusters.kubernetes import names
from connectors.clusters.kubernetes.config import KubernetesConfig
from connectors.clusters.kubernetes.gpus import Parts
from connectors.clusters.kubernetes.manifest import Run, make_job
from connectors.clusters.kubernetes.views import Seen
from connectors.types import JobOrder

NAMESPACE = "gridtide"
_VERSION = "1000000"
_GPUS_PER_NODE = 8


@contextmanager
def serving(
    config: KubernetesConfig, orders: list[JobOrder], n_running: int
) -> Iterator[ThreadingHTTPServer]:
    """Serve ``orders``, of which the first ``n_running`` run and the others have succeeded."""
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    jobs = [
        _job(config, order, number, began, is_running=number < n_running)
        for number, order in enumerate(orders)
    ]
    n_nodes = -(-n_running // _GPUS_PER_NODE)
    listed = {
        f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs": jobs,
        "/api/v1/pods": [
            _pod(job, f"node-{number % n_nodes}", began)
            for number, job in enumerate(jobs[:n_running])
        ],
        "/api/v1/nodes": [_node(f"node-{number}", config) for number in range(n_nodes)],
    }
    answers = {
        path: json.dumps({"metadata": {"resourceVersion": _VERSION}, "items": items}).encode()
        for path, items in listed.items()
    }
    named = {"metadata": {"name": NAMESPACE, "uid": "0"}}
    answers[f"/api/v1/namespaces/{NAMESPACE}"] = json.dumps(named).encode()
    is_over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = urlparse(self.path)
            if "watch" in parse_qs(asked.query):
                self.send_response(200)
                self.end_headers()
                self.wfile.flush()
                is_over.wait()
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(answers[asked.path])))
            self.end_headers()
            self.wfile.write(answers[asked.path])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        is_over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _job(
    config: KubernetesConfig, order: JobOrder, number: int, began: datetime, *, is_running: bool
) -> dict[str, Any]:
    job = make_job(order, Run(1, 0, Parts(1, order.gpus)), config)
    job["metadata"] |= {
        "namespace": NAMESPACE,
        "uid": f"job-{number}",
        "resourceVersion": _VERSION,
        "creationTimestamp": _instant(began),
    }
    job["metadata"]["annotations"][names.WANTED] = "run"
    job["spec"]["suspend"] = False
    ended = began + timedelta(minutes=1)
    seen = Seen(began) if is_running else Seen(began, ended, 0)
    job["metadata"]["annotations"][names.SEEN] = seen.as_text()
    if not is_running:
        job["status"] = {
            "completionTime": _instant(ended),
            "conditions": [{"type": "Complete", "status": "True"}],
        }
    return job


def _pod(job: dict[str, Any], node: str, began: datetime) -> dict[str, Any]:
    template, name = job["spec"]["template"], job["metadata"]["name"]
    running = {"state": {"running": {"startedAt": _instant(began)}}}
    return {
        "metadata": template["metadata"]
        | {
            "name": f"{name}-0",
            "namespace": NAMESPACE,
            "uid": f"pod of {name}",
            "resourceVersion": _VERSION,
            "creationTimestamp": _instant(began),
            "labels": template["metadata"]["labels"] | {names.OF_JOB_LABEL: name},
        },
        "spec": template["spec"] | {"nodeName": node},
        "status": {"phase": "Running", "containerStatuses": [running]},
    }


def _node(name: str, config: KubernetesConfig) -> dict[str, Any]:
    amounts = {pool.resource: str(_GPUS_PER_NODE) for pool in config.pools}
    return {
        "metadata": {"name": name, "uid": name, "resourceVersion": _VERSION},
        "spec": {},
        "status": {
            "capacity": amounts,
            "allocatable": amounts,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
