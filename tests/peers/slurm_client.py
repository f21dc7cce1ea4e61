"""Our connector's two ways to speak to a Slurm, as a test uses them."""

from __future__ import annotations

import pytest

from connectors.clusters.slurm.commands import SlurmCommands
from connectors.clusters.slurm.rest import SlurmRest
from connectors.clusters.slurm.transport import SlurmTransport
from tests.peers.slurm import Slurm

WAYS = ("commands", "rest")


def speaking_to(slurm: Slurm, way: str, monkeypatch: pytest.MonkeyPatch) -> SlurmTransport:
    """Speak to it one of the ``WAYS``; its commands are found from now on."""
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, slurm.environment[name])
    if way == "commands":
        return SlurmCommands()
    return SlurmRest(slurm.rest_url, "root", slurm.token)
