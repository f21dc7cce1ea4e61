"""Power of GPUs as a Prometheus server knows it, by two instant queries at one time, its own.

The time that an instant query gives with a value is that of the query, however old the value is.
``timestamp(...)`` of the same query says how old, so both are asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from connectors.errors import ConnectorError, ContractBroken, Rejected, Unavailable
from connectors.power.http import get
from connectors.power.samples import DCGM_POWER, Sample, by_gpu, gpu_name
from connectors.types import MeasuredPower, PowerScope

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]

_TRY_LATER = frozenset(("timeout", "canceled", "internal", "unavailable"))


class PrometheusPower:
    """Implements ``PowerSource``. A series that its exporter no longer tells is not there.

    Parameters
    ----------
    url
        Of the server, with whatever path it is served under.
    query
        A selector of series of single GPUs [W]: one whose age can be told, so no sum.
    token_file
        Holds the bearer token; read before every query. ``None`` sends none.
    stale_after_s
        An older value is none.
    """

    name = "prometheus"
    scope = PowerScope.GPUS

    def __init__(
        self,
        url: str,
        query: str = DCGM_POWER,
        token_file: Path | None = None,
        stale_after_s: float = 120.0,
    ) -> None:
        self._url = f"{url.rstrip('/')}/api/v1/query"
        self._query = query
        self._token_file = token_file
        self._stale_after_s = stale_after_s

    async def read(self) -> MeasuredPower:
        """Power now. Series that have become too old are named among the silent."""
        async with httpx.AsyncClient(headers=self._headers()) as client:
            watts, at = await self._ask(client, self._query)
            if at is None:
                raise Unavailable(f"{self._url}: {self._query!r}: nothing is known of any GPU")
            times, _ = await self._ask(client, f"timestamp({self._query})", time=f"{at:.3f}")
        # Both are of one instant. ``timestamp`` takes the name off; nothing else differs.
        missing = watts.keys() - times.keys()
        if missing:
            raise ContractBroken(
                f"{self._url}: {self._query!r} must be a selector: {len(missing)} series have no"
                " timestamp"
            )
        too_old = at - self._stale_after_s
        fresh = {labels: value for labels, value in watts.items() if times[labels] >= too_old}
        found = by_gpu(
            Sample(gpu_name(dict(labels), self._url), value) for labels, value in fresh.items()
        )
        told = {gpu_name(dict(labels), self._url) for labels in watts}
        silent = tuple(f"GPU {gpu}" for gpu in sorted(told - found.keys()))
        return MeasuredPower(sum(found.values()) / 1000, len(found), silent)

    def _headers(self) -> dict[str, str]:
        if self._token_file is None:
            return {}
        try:
            return {"Authorization": f"Bearer {self._token_file.read_text().strip()}"}
        except OSError as error:
            raise Unavailable(f"{self._url}: no token: {error}") from error

    async def _ask(
        self, client: httpx.AsyncClient, query: str, **more: str
    ) -> tuple[Vector, float | None]:
        """Return the answer, and its time by the server's clock where there is any value."""
        try:
            reply = await get(client, self._url, query=query, **more)
            answer = reply.json()
            if answer["status"] != "success":
                raise self._refusal(query, answer)
            # Of several servers behind one, some may be away: then what came is a part.
            if answer.get("warnings"):
                raise Unavailable(f"{self._url}: {query!r}: {'; '.join(answer['warnings'])}")
            return _vector(answer["data"])
        except ConnectorError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ContractBroken(f"{self._url}: {query!r}: {error!r}") from error

    def _refusal(self, query: str, answer: dict[str, Any]) -> ConnectorError:
        kind = answer.get("errorType")
        text = f"{self._url}: {query!r}: {kind}: {answer.get('error')}"
        return (Unavailable if kind in _TRY_LATER else Rejected)(text)


def _vector(data: dict[str, Any]) -> tuple[Vector, float | None]:
    if data["resultType"] != "vector":
        raise ValueError(f"resultType = {data['resultType']!r}, must be 'vector'")
    found = {_labels(one["metric"]): float(one["value"][1]) for one in data["result"]}
    return found, next((float(one["value"][0]) for one in data["result"]), None)


def _labels(metric: dict[str, str]) -> Labels:
    return frozenset((name, value) for name, value in metric.items() if name != "__name__")
