"""``gridtide-node-agent``: the agent as a program of its own.

Not a command of ``gridtide``: it runs as root on every GPU node, and so loads neither optimiser nor
database nor web server.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import math
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from connectors.clusters.durable import lock
from connectors.clusters.kubernetes.api import Api
from connectors.clusters.kubernetes.config import KubernetesConfig
from connectors.clusters.kubernetes.credentials import connect, find_context
from connectors.clusters.kubernetes.node.agent import Duty, NodeAgent
from connectors.clusters.kubernetes.node.pod_resources import SOCKET, PodResources
from connectors.clusters.kubernetes.node.records import Records
from connectors.errors import ConnectorError

log = logging.getLogger(__name__)

_COMMAND = "/usr/local/libexec/gridtide-power-cap"
_STATE = Path("/run/gridtide/node-agent")
_LOCK_WAIT_S = 30.0  # for one that is just being replaced
_REFUSED = 2
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")

_ABOUT = """\
Keep the GPUs of this node at the power caps of the Gridtide pods that have them (Kubernetes).

It watches the pods of NODE in each NAMESPACE, asks the kubelet which GPUs a pod was given, has
gridtide-power-cap set its cap (annotation gridtide.dev/power-cap-w) and read it back, and writes
what is in force to the pod (annotation gridtide.dev/power-cap-in-force). GPUs of pods that are over
have their default limit again. Needs root; see docs/clusters.md and deploy/kubernetes."""
_EPILOG = """\
Caps above the default limit of a GPU are refused unless MORE_THAN_DEFAULT=yes is a variable of it.
Exit codes: 0 it was told to end, caps stay as they are; 1 unexpected error; 2 wrong usage, no way
to the API server, or another agent uses the state folder."""


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    made = argparse.ArgumentParser(
        prog="gridtide-node-agent",
        description=_ABOUT,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--node", required=True, type=_name, help="name of this node")
    made.add_argument(
        "--namespace",
        required=True,
        type=_name,
        action="append",
        dest="namespaces",
        metavar="NAMESPACE",
        help="where jobs run; may be given several times",
    )
    made.add_argument(
        "--kubeconfig", type=Path, help="without it the account of the pod, else KUBECONFIG"
    )
    made.add_argument(
        "--socket", type=Path, default=SOCKET, help="of the kubelet's pod resources (%(default)s)"
    )
    made.add_argument(
        "--state",
        type=Path,
        default=_STATE,
        help="folder on the node of which GPUs are capped (%(default)s)",
    )
    made.add_argument("--command", default=_COMMAND, help="what sets caps (%(default)s)")
    made.add_argument(
        "--check-every",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="what somebody else set is set back within this time (60)",
    )
    return made


def main(words: Sequence[str] | None = None) -> None:
    """Run the agent until SIGTERM or SIGINT."""
    asked = parser().parse_args(words)
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    asked.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with lock(asked.state / "lock", wait_s=_LOCK_WAIT_S) as is_ours:
        if not is_ours:
            _refuse(f"state = {asked.state}: another agent uses it")
        try:
            asyncio.run(_run(asked))
        except ConnectorError as error:
            _refuse(str(error))


async def _run(asked: argparse.Namespace) -> None:
    config = KubernetesConfig(pools=(), kubeconfig=asked.kubeconfig)

    def api() -> Api:
        client = connect(find_context(config), config.call_timeout_s)
        return Api(asked.node, client, config.call_timeout_s)

    duty = Duty(asked.node, tuple(asked.namespaces), (asked.command,), asked.check_every)
    agent = NodeAgent(duty, api, PodResources(asked.socket), Records(asked.state / "pods"))
    log.info("looks after node %s, namespaces %s", duty.node, ", ".join(duty.namespaces))
    work = asyncio.create_task(agent.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        log.info("told to end; caps stay as they are")


def _refuse(words: str) -> None:
    sys.stderr.write(f"gridtide-node-agent: {words}\n")
    sys.exit(_REFUSED)


def _name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r}, must be a name in the cluster")
    return text


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text} s, must be > 0 and finite")
    return seconds
