"""Slurm by slurmrestd, in the dialect it speaks: v0.0.37, v0.0.38, or v0.0.40 and later.

v0.0.36 does not say which partitions a node is in, and every release that has it has a later one.
v0.0.39 is passed over: its fields are of the later ones, its environment of the earlier, and every
release that has it (23.02 to 24.05) has one of the others.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import httpx

from connectors.clusters.slurm.dialect import read_jobs, read_node_power, read_nodes, read_time
from connectors.clusters.slurm.sacct import read_accounts
from connectors.clusters.slurm.speech import rest_job
from connectors.clusters.slurm.transport import (
    JobAccount,
    NodePower,
    SlurmJob,
    SlurmNode,
    Submission,
)
from connectors.errors import ConnectorError, ContractBroken, GpusBusy, Rejected, Unavailable

_OLDEST, _NEWEST = 37, 45
_BETWEEN = 39
_DIALECT = re.compile(r"/(slurm|slurmdb)/v0\.0\.(\d+)/")
_OVER = frozenset((2017, 2021))  # ESLURM_INVALID_JOB_ID, ESLURM_ALREADY_DONE
_HELD = frozenset((2042,))  # ESLURM_JOB_HELD, which is what was asked for
_NOTHING_FOUND = frozenset((9003,))  # ESLURM_REST_EMPTY_RESULT
_TOO_MANY = 429
_AWAY = frozenset((1001, 1007, 1800, 2006, 5004, 6000, 7000))
# What a token that is over comes to: since 23.02 a refusal to authenticate, before that no word.
_MAY_BE_EXPIRED = frozenset((-1, 1007, 5004, 6000))
_AWAY_WORDS = re.compile(r"unable to contact|timed out|communication|connect", re.IGNORECASE)


class SlurmRest:
    """Implements ``SlurmTransport``.

    Parameters
    ----------
    url
        Of slurmrestd, e.g. ``http://slurm:6820``.
    token
        Gives the JWT in force; asked before every request, since tokens expire.
    answer_s
        How long a request may take [s].
    """

    def __init__(
        self,
        url: str,
        user: str,
        token: Callable[[], str],
        answer_s: float = 20.0,
    ) -> None:
        self._user = user
        self._token = token
        self._versions: dict[str, int] = {}  # the newest dialect of each API that is known here
        self._url = url.rstrip("/")
        self._answer_s = answer_s
        self._tls = ssl.create_default_context()

    async def jobs(self) -> tuple[SlurmJob, ...]:
        """By ``GET jobs``."""
        return read_jobs(await self._ask("GET", "jobs"))

    async def nodes(self) -> tuple[SlurmNode, ...]:
        """By ``GET nodes``."""
        return read_nodes(await self._ask("GET", "nodes"))

    async def time(self) -> float:
        """By ``GET diag``."""
        return read_time(await self._ask("GET", "diag"))

    async def node_power(self) -> dict[str, NodePower]:
        """By ``GET nodes``; dialects before v0.0.40 do not tell."""
        return read_node_power(await self._ask("GET", "nodes"))

    async def accounts(self, job_ids: Collection[int]) -> tuple[JobAccount, ...]:
        """By ``GET jobs`` of slurmdbd, requeued allocations included."""
        version = await self._dialect("slurmdb")
        if version < _BETWEEN:
            query = f"jobs?step={'%2C'.join(map(str, job_ids))}"
        else:  # a list with commas is none that it can parse
            query = f"jobs/?{'&'.join(f'step={job_id}' for job_id in job_ids)}"
        return read_accounts(await self._ask("GET", query, None, _NOTHING_FOUND, "slurmdb"))

    async def submit_held(self, submission: Submission) -> int:
        """By ``POST job/submit``."""
        job = rest_job(submission, await self._dialect("slurm"))
        answer = await self._ask(
            "POST", "job/submit", {"script": submission.script, "job": job}, _HELD
        )
        try:
            return int(answer["job_id"])
        except (KeyError, TypeError, ValueError) as error:
            raise ContractBroken(f"job/submit: expected a job_id, came {answer}") from error

    async def release(self, job_id: int) -> None:
        """By ``POST job/{job_id}``."""
        await self._ask("POST", f"job/{job_id}", {"hold": False}, _OVER)

    async def cancel(self, job_id: int) -> None:
        """By ``DELETE job/{job_id}``."""
        await self._ask("DELETE", f"job/{job_id}", None, _OVER)

    async def _dialect(self, api: str) -> int:
        if api not in self._versions:
            self._versions[api] = await asyncio.to_thread(self._newest, api)
        return self._versions[api]

    def _newest(self, api: str) -> int:
        paths = self._send("GET", "/openapi/v3", None).get("paths", {})
        found = (_DIALECT.match(path) for path in paths)
        offered = {int(one[2]) for one in found if one is not None and one[1] == api}
        known = [n for n in offered if _OLDEST <= n <= _NEWEST and n != _BETWEEN]
        if not known:
            raise Rejected(
                f"slurmrestd offers {sorted(offered)} of /{api}, must offer one of"
                f" v0.0.{_OLDEST} to v0.0.{_NEWEST}"
            )
        return max(known)

    async def _ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        is_fine: frozenset[int] = frozenset(),
        api: str = "slurm",
    ) -> dict[str, Any]:
        full = f"/{api}/v0.0.{await self._dialect(api)}/{path}"
        answer = await asyncio.to_thread(self._send, method, full, body)
        errors = answer.get("errors") or []
        codes = {_code(error) for error in errors}
        if not codes <= is_fine:
            raise self._error(f"{method} {path}", errors, codes)
        return answer

    def _error(self, asked: str, errors: list[dict[str, Any]], codes: set[int]) -> ConnectorError:
        said = "; ".join(
            " ".join(filter(None, (error.get("error"), error.get("description"))))
            for error in errors
        )
        text = f"slurmrestd {self._url}: {asked}: {said}"
        if "MaxSubmitJob" in text:  # a limit on what may be submitted at once
            return GpusBusy(text)
        if codes & _MAY_BE_EXPIRED:
            return Unavailable(f"{text}; is the token of user {self._user} expired?")
        is_away = bool(codes & _AWAY) or _AWAY_WORDS.search(said)
        return (Unavailable if is_away else Rejected)(text)

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        headers = {
            "X-SLURM-USER-NAME": self._user,
            "X-SLURM-USER-TOKEN": self._token(),
            "Accept": "application/json",
        }
        try:
            # A connection for each: one that is kept belongs to an event loop, and several ask.
            response = httpx.request(
                method,
                self._url + path,
                json=body,
                headers=headers,
                timeout=self._answer_s,
                verify=self._tls,
            )
        except httpx.TransportError as error:
            raise Unavailable(f"slurmrestd {self._url}: {type(error).__name__}: {error}") from error
        if response.status_code in {401, 403}:
            raise Unavailable(
                f"slurmrestd {self._url}: {response.status_code}, user {self._user} or its token"
                " is not (or no longer) accepted; is it expired?"
            )
        if not response.content and response.is_success:
            return {}
        try:
            answer: dict[str, Any] = response.json()
        except ValueError as error:
            kind = Unavailable if response.is_server_error else ContractBroken
            raise kind(
                f"slurmrestd {self._url}: {response.status_code}, no JSON: {response.text[:200]!r}"
            ) from error
        if not response.is_success and not answer.get("errors"):
            is_later = response.is_server_error or response.status_code == _TOO_MANY
            said = f"{response.status_code}: {response.text[:200]!r}"
            refusal = Unavailable if is_later else Rejected
            raise refusal(f"slurmrestd {self._url}: {method} {path}: {said}")
        return answer


def read_token(file: Path) -> str:
    """Read the token in force; whoever renews it writes it there.

    Raises
    ------
    Unavailable
        It cannot be read.
    """
    try:
        return file.read_text().strip()
    except OSError as error:
        raise Unavailable(f"slurmrestd: no token: {error}") from error


def _code(error: dict[str, Any]) -> int:
    names = ("error_number", "error_code", "errno")  # in one dialect or another
    return next((int(error[name]) for name in names if error.get(name)), 0)
