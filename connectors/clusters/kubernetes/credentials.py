"""Who we are to a cluster, and how we know it: kubeconfig, service account, credential programs."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
from lightkube.config.client_adapter import ConnectionParams
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.config.models import UserExec
from lightkube.core.exceptions import ConfigError

from connectors.clocks import ahead_by_date
from connectors.clusters.kubernetes.config import KubernetesConfig
from connectors.errors import Rejected, Unavailable

ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_RENEW_BEFORE = timedelta(seconds=10)
_PROGRAM_ENDS_WITHIN_S = 60.0
_UNAUTHORIZED = 401


def find_context(config: KubernetesConfig) -> SingleConfig:
    """Return the cluster, the user and the namespace that ``config`` names.

    Raises
    ------
    Rejected
        There is no such file or context, or it is no kubeconfig.
    """
    try:
        if config.kubeconfig is not None:
            found = KubeConfig.from_file(config.kubeconfig)
        elif config.context is not None:
            # A context is of a file: the account of the pod we may run in has none.
            found = KubeConfig.from_file(os.environ.get("KUBECONFIG", "~/.kube/config"))
        else:
            found = KubeConfig.from_env(service_account=ACCOUNT_FOLDER)
        context = found.get(config.context)
    except (ConfigError, KeyError, TypeError, ValueError, OSError) as error:
        raise Rejected(f"kubeconfig {config.kubeconfig or ''}: {error}") from error
    if context is None or context.user is None:
        raise Rejected(f"kubeconfig {config.kubeconfig or ''}: no context with a user")
    return context


def connect(context: SingleConfig, timeout_s: float) -> httpx2.AsyncClient:
    """Return a client that trusts the cluster of ``context`` and that it knows us by.

    Raises
    ------
    Rejected
        A certificate is not there or none, or the user is of a kind that is not known.
    """
    limits = ConnectionParams(timeout=httpx2.Timeout(timeout_s))
    try:
        parameters = limits.httpx_params(context)
    except (ConfigError, OSError, ValueError) as error:
        raise Rejected(f"context {context.context_name}: {error}") from error
    if context.user is not None and context.user.exec is not None:
        parameters["auth"] = ProgramCredentials(context.user.exec)
    # Many watches and log readers at once, each of which keeps a connection.
    return httpx2.AsyncClient(**parameters, limits=httpx2.Limits(max_connections=None))


class ProgramCredentials(httpx2.Auth):
    """A token that a program gives (``exec`` in a kubeconfig), asked again when it is over."""

    def __init__(self, program: UserExec) -> None:
        self._program = program
        self._token: str | None = None
        self._expires_at: datetime | None = None
        self._ahead = timedelta(0)  # the clock by which tokens expire, of ours

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Send ``request`` with the token; once more with a new one where it is refused."""
        was_fresh = self._token is None or self._is_over()
        if was_fresh:
            await self._renew()
        request.headers["Authorization"] = f"Bearer {self._token}"
        began = time.time()
        response = yield request
        ahead = ahead_by_date(response.headers.get("date"), began)
        self._ahead = self._ahead if ahead is None else timedelta(seconds=ahead)
        if response.status_code == _UNAUTHORIZED and not was_fresh:
            await self._renew()
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    def _is_over(self) -> bool:
        now = datetime.now(UTC) + self._ahead
        return self._expires_at is not None and now >= self._expires_at - _RENEW_BEFORE

    async def _renew(self) -> None:
        name = self._program.command
        output = await self._ask()
        try:
            status = json.loads(output)["status"]
            self._token = str(status["token"])
            expires_at = status.get("expirationTimestamp")
            self._expires_at = None if expires_at is None else datetime.fromisoformat(expires_at)
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable(f"credential program {name}: gave no token: {error!r}") from error

    async def _ask(self) -> bytes:
        program = self._program
        if program.apiVersion not in _VERSIONS:
            raise Rejected(
                f"credential program {program.command}: apiVersion = {program.apiVersion!r},"
                f" must be one of {_VERSIONS}"
            )
        info = {"apiVersion": program.apiVersion, "kind": "ExecCredential"}
        info_text = json.dumps({**info, "spec": {"interactive": False}})
        variables = {one.name: one.value for one in program.env or []}
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                str(Path(program.command).expanduser()),
                *(program.args or []),
                env=os.environ | variables | {"KUBERNETES_EXEC_INFO": info_text},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=pipe,
                stderr=pipe,
            )
        except OSError as error:
            raise Rejected(f"credential program {program.command}: {error}") from error
        try:
            async with asyncio.timeout(_PROGRAM_ENDS_WITHIN_S):
                output, complaint = await process.communicate()
        except TimeoutError as error:
            process.kill()
            raise Unavailable(f"credential program {program.command} hangs") from error
        if process.returncode != 0:
            words = complaint.decode(errors="replace").strip()[-300:]
            raise Unavailable(f"credential program {program.command}: {words}")
        return output
