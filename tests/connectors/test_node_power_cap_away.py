"""The node's script where a file server is away: its jobs are capped later, others at once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.connectors.test_node_power_cap import SCRIPT, Node
from tests.peers.nvidia_smi import FakeGpus
from tests.peers.processes import wait_until


@pytest.fixture
def gpus(tmp_path: Path) -> FakeGpus:
    """Four that can be set between 100 and 700 W."""
    return FakeGpus(tmp_path / "driver")


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A job on the GPUs 1 and 2."""
    return Node(tmp_path / "job")


class Away:
    """A file server that lets programs wait which read what it has, while it is away.

    The script is the real one but for two lines: it finds these first, and gives up sooner.
    """

    _WAITS = """#!/bin/bash
case $* in *{folder}*) [ ! -e {away} ] || {{ touch {away}-waits; exec sleep 60; }} ;; esac
exec {program} "$@"
"""

    def __init__(self, tmp_path: Path, gpus: FakeGpus, folder: Path) -> None:
        self._mark = tmp_path / "away"
        self._waits = tmp_path / "away-waits"
        for name in ("test", "head", "rm"):
            program = gpus.bin / name
            text = self._WAITS.format(
                folder=folder, away=self._mark, program=shutil.which(name, path="/usr/bin:/bin")
            )
            program.write_text(text)
            program.chmod(0o755)
        script = SCRIPT.read_text()
        (path,) = (line for line in script.splitlines() if line.startswith("PATH="))
        assert "files_answer_s=10\n" in script
        self.script = tmp_path / "script"
        self.script.write_text(script.replace(path, "").replace("answer_s=10\n", "answer_s=5\n"))
        self.script.chmod(0o755)
        self.environment = {
            "PATH": f"{gpus.bin}:/usr/sbin:/usr/bin:/sbin:/bin",
            "RUNTIME_DIRECTORY": str(tmp_path / "run"),
        }

    def has_waiting(self) -> bool:
        """Whether somebody has waited."""
        return self._waits.exists()

    def forget_waiting(self) -> None:
        """Know of nobody who has waited."""
        self._waits.unlink()

    def begin(self) -> None:
        """Be away."""
        self._mark.touch()

    def end(self) -> None:
        """Be there again."""
        self._mark.unlink()

    def run(self, verb: str, node: Node) -> float:
        """Run the script for a job; returns how long it took [s]."""
        began = time.monotonic()
        environment = self.environment | node.told
        subprocess.run([self.script, verb], env=environment, check=True, timeout=60)
        return time.monotonic() - began


def test_a_job_whose_folder_does_not_answer_is_capped_once_it_does(
    gpus: FakeGpus, node: Node, tmp_path: Path
) -> None:
    """It is not taken for one of others, and holds up none of them meanwhile."""
    server = Away(tmp_path, gpus, node.folder)
    other = Node(tmp_path / "other", job="8", gpus="3")
    server.begin()
    assert server.run("prolog", node) < 10
    server.forget_waiting()
    assert gpus.limits() == [700.0] * 4
    command = [server.script, "follow"]
    with subprocess.Popen(command, env=server.environment, start_new_session=True) as process:
        try:
            wait_until(server.has_waiting, "who follows waits for it")
            assert server.run("prolog", other) < 4
            assert gpus.limit(3) == 250.0
            assert server.run("epilog", other) < 4
            assert gpus.limit(3) == 700.0
            server.end()
            wait_until(lambda: gpus.limits()[1:3] == [250.0, 250.0], "the cap is set")
            wait_until(lambda: node.report() == "250 250.00 ", "and told")
        finally:
            os.killpg(process.pid, signal.SIGTERM)
    server.run("epilog", node)
    assert gpus.limits() == [700.0] * 4


def test_a_job_of_others_whose_folder_did_not_answer_is_forgotten(
    gpus: FakeGpus, node: Node, tmp_path: Path
) -> None:
    """What somebody else set on its GPUs stays."""
    server = Away(tmp_path, gpus, node.folder)
    (node.folder / "wanted").unlink()
    gpus.set_limit(1, 300.0)
    server.begin()
    server.run("prolog", node)
    server.end()
    server.run("epilog", node)
    assert gpus.limits() == [700.0, 300.0, 700.0, 700.0]
