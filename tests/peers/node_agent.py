"""Our agent on a node of a test cluster: in this process, or as the program it is."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from connectors.clusters.kubernetes.api import Api
from connectors.clusters.kubernetes.config import KubernetesConfig
from connectors.clusters.kubernetes.credentials import connect, find_context
from connectors.clusters.kubernetes.node.agent import Duty, NodeAgent
from connectors.clusters.kubernetes.node.pod_resources import PodResources
from connectors.clusters.kubernetes.node.records import Records
from tests.peers.kubernetes import DIE_WITH_US

SCRIPT = Path(__file__).parents[2] / "deploy" / "node" / "gridtide-power-cap"
_PROGRAM = Path(sys.executable).with_name("gridtide-node-agent")
_ENDS_WITHIN_S = 30.0


@dataclass(frozen=True)
class AgentPlace:
    """Where an agent is: its node and namespace, and what it finds on the node."""

    node: str
    namespace: str
    kubeconfig: Path
    socket: Path
    state: Path
    programs: Path  # where nvidia-smi is
    check_every_s: float = 1.0
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def records(self) -> list[Path]:
        """What it has written down of pods."""
        return sorted((self.state / "pods").glob("*.json"))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the agent here; the folder of ``programs`` must be on the path."""
        config = KubernetesConfig(pools=(), kubeconfig=self.kubeconfig)

        def api() -> Api:
            return Api(self.node, connect(find_context(config), 5.0), 5.0)

        duty = Duty(self.node, (self.namespace,), (str(SCRIPT),), self.check_every_s)
        agent = NodeAgent(duty, api, PodResources(self.socket), Records(self.state / "pods"))
        work = asyncio.create_task(agent.run())
        try:
            yield
            if work.done():
                work.result()
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work

    @contextmanager
    def program(self, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Run it as it is installed; a test may kill it."""
        words = [
            f"--node={self.node}",
            f"--namespace={self.namespace}",
            f"--kubeconfig={self.kubeconfig}",
            f"--socket={self.socket}",
            f"--state={self.state}",
            f"--command={SCRIPT}",
            f"--check-every={self.check_every_s:g}",
        ]
        path = {"PATH": f"{self.programs}:{os.environ['PATH']}"}
        with log.open("ab") as file:
            process = subprocess.Popen(
                [*DIE_WITH_US, _PROGRAM, *words],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**path, **self.variables},
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(_ENDS_WITHIN_S)
