"""Slurm by its commands, here or on a login node."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
from collections.abc import Collection, Sequence
from typing import Any

from connectors.clusters.slurm.dialect import (
    read_jobs,
    read_node_power,
    read_node_power_lines,
    read_nodes,
)
from connectors.clusters.slurm.sacct import SACCT, read_account_lines
from connectors.clusters.slurm.speech import sbatch_options
from connectors.clusters.slurm.transport import (
    JobAccount,
    NodePower,
    SlurmJob,
    SlurmNode,
    Submission,
)
from connectors.errors import ContractBroken, GpusBusy, Rejected, Unavailable

_PASSED_ON = ("HOME", "LANG", "PATH", "SLURM_CONF", "SSH_AUTH_SOCK", "USER")
_AWAY = re.compile(
    r"unable to contact slurm controller|timed out|connection (refused|reset|closed)|no route"
    r"|communication (connection )?failure|zero bytes|unexpected message|authentication"
    r"|credential|could not resolve|temporarily|in standby|failed to fetch config",
    re.IGNORECASE,
)
_OVER = re.compile(r"invalid job id|already completing|already completed|finished", re.IGNORECASE)
_SSH_FAILED = 255
_NODES_BY_SCONTROL_SINCE = (23, 2)


class SlurmCommands:
    """Implements ``SlurmTransport``.

    Parameters
    ----------
    login_node
        As given to ``ssh``; ``None`` runs the commands here.
    answer_s
        How long a command may take [s].
    """

    def __init__(self, login_node: str | None = None, answer_s: float = 20.0) -> None:
        self._login_node = login_node
        self._answer_s = answer_s
        self._version: tuple[int, int] | None = None

    async def jobs(self) -> tuple[SlurmJob, ...]:
        """By ``squeue``, those included that are over and not yet forgotten."""
        return read_jobs(await self._listed("squeue", "--states=all", "--json"))

    async def nodes(self) -> tuple[SlurmNode, ...]:
        """By ``scontrol``; by ``sinfo`` where that cannot yet tell."""
        if await self._slurm_version() >= _NODES_BY_SCONTROL_SINCE:
            return read_nodes(await self._listed("scontrol", "show", "nodes", "--json"))
        return read_nodes(await self._listed("sinfo", "--json"))

    async def time(self) -> float:
        """By ``scontrol``, which begins its configuration with it."""
        answer = await self._run("env", "SLURM_TIME_FORMAT=%s", "scontrol", "show", "config")
        found = re.match(r"Configuration data as of (\d+)\s", answer)
        if found is None:
            raise ContractBroken(f"scontrol show config: expected a time, came {answer[:60]!r}")
        return float(found[1])

    async def node_power(self) -> dict[str, NodePower]:
        """By ``scontrol``, as JSON where it can."""
        if await self._slurm_version() >= _NODES_BY_SCONTROL_SINCE:
            return read_node_power(await self._listed("scontrol", "show", "nodes", "--json"))
        return read_node_power_lines(await self._run("scontrol", "show", "node", "--oneliner"))

    async def accounts(self, job_ids: Collection[int]) -> tuple[JobAccount, ...]:
        """By ``sacct``, requeued allocations included."""
        return read_account_lines(await self._run(*SACCT, ",".join(map(str, job_ids))))

    async def submit_held(self, submission: Submission) -> int:
        """By ``sbatch``."""
        options = sbatch_options(submission)
        answer = await self._run("sbatch", *options, given=submission.script.encode())
        found = re.match(r"\d+", answer)
        if found is None:
            raise ContractBroken(f"sbatch: expected the number of a job, came {answer!r}")
        return int(found.group())

    async def release(self, job_id: int) -> None:
        """By ``scontrol``."""
        await self._run_unless_over("scontrol", "release", str(job_id))

    async def cancel(self, job_id: int) -> None:
        """By ``scancel``."""
        await self._run_unless_over("scancel", str(job_id))

    async def _slurm_version(self) -> tuple[int, int]:
        if self._version is None:
            answer = await self._run("sinfo", "--version")
            found = re.search(r"(\d+)\.(\d+)", answer)
            if found is None:
                raise ContractBroken(f"sinfo --version: expected a version, came {answer!r}")
            self._version = int(found[1]), int(found[2])
        return self._version

    async def _listed(self, *command: str) -> dict[str, Any]:
        answer = await self._run(*command)
        try:
            found: dict[str, Any] = json.loads(answer)
        except ValueError as error:
            raise ContractBroken(f"{command[0]}: expected JSON, {error}") from error
        return found

    async def _run_unless_over(self, *command: str) -> None:
        try:
            await self._run(*command)
        except Rejected as error:
            if not _OVER.search(str(error)):
                raise

    async def _run(self, *command: str, given: bytes = b"") -> str:
        words: Sequence[str] = command
        if self._login_node is not None:
            words = ("ssh", "-o", "BatchMode=yes", self._login_node, shlex.join(command))
        process = await self._start(words)
        try:
            said, complained = await asyncio.wait_for(process.communicate(given), self._answer_s)
        except TimeoutError as error:
            raise Unavailable(f"{command[0]}: no answer within {self._answer_s:g} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        text = complained.decode(errors="replace").strip()
        if process.returncode == 0:
            return said.decode(errors="replace")
        is_away = _AWAY.search(text) or (
            self._login_node is not None and process.returncode == _SSH_FAILED
        )
        if "MaxSubmitJob" in text:  # a limit on what may be submitted at once
            raise GpusBusy(f"{command[0]}: {text}")
        problem = f"{command[0]}: {text or f'exit code {process.returncode}'}"
        raise (Unavailable if is_away else Rejected)(problem)

    async def _start(self, words: Sequence[str]) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        try:
            return await asyncio.create_subprocess_exec(
                *words, stdin=pipe, stdout=pipe, stderr=pipe, env=environment
            )
        except FileNotFoundError as error:
            raise Rejected(f"{words[0]}: not installed here") from error
