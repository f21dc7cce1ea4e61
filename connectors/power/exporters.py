"""Power of GPUs as the exporters on their nodes print it, asked one by one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence

import httpx
from prometheus_client.parser import text_string_to_metric_families

from connectors.clocks import date_of
from connectors.errors import ConnectorError, ContractBroken, Unavailable
from connectors.power.http import get
from connectors.power.samples import DCGM_POWER, Sample, by_gpu, gpu_name
from connectors.types import MeasuredPower, PowerScope

_ANSWER_S = 5.0


class ExportersPower:
    """Implements ``PowerSource``.

    Parameters
    ----------
    urls
        Of the pages of metrics, one for each node.
    metric
        What is printed of each GPU [W]: ``DCGM_FI_DEV_POWER_USAGE``, or for instance
        ``nvidia_smi_power_draw_watts`` of an exporter that asks nvidia-smi.
    stale_after_s
        A value that says it is older, by the clock of its exporter, is none; most say no time.
    """

    name = "exporters"
    scope = PowerScope.GPUS

    def __init__(
        self,
        urls: Sequence[str],
        metric: str = DCGM_POWER,
        stale_after_s: float = 120.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._urls = tuple(urls)
        self._metric = metric
        self._stale_after_s = stale_after_s
        self._clock = clock

    async def read(self) -> MeasuredPower:
        """Power now; nodes that do not answer, or print nothing of it, are named as silent.

        Raises
        ------
        Unavailable
            None of them answers.
        """
        # Of many nodes some wait for a connection, and that is not their fault.
        timeout = httpx.Timeout(_ANSWER_S, pool=None)
        async with httpx.AsyncClient(timeout=timeout) as client:
            asked = [self._samples(client, url) for url in self._urls]
            answers = await asyncio.gather(*asked, return_exceptions=True)
        samples: list[Sample] = []
        silent: list[str] = []
        for answer in answers:
            if isinstance(answer, ConnectorError):
                silent.append(str(answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                samples += answer
        if not samples:
            raise Unavailable(f"no exporter answers: {'; '.join(silent)}")
        found = by_gpu(samples)
        return MeasuredPower(sum(found.values()) / 1000, len(found), tuple(silent))

    async def _samples(self, client: httpx.AsyncClient, url: str) -> list[Sample]:
        reply = await get(client, url)
        try:
            there = date_of(reply.headers.get("date"))
            now = self._clock() if there is None else there
            samples = list(self._printed(reply.text, url, now))
        except ValueError as error:
            raise ContractBroken(f"{url}: not the text format of Prometheus: {error}") from error
        if not samples:
            raise Unavailable(f"{url}: prints no {self._metric} that is new")
        by_gpu(samples)
        return samples

    def _printed(self, text: str, url: str, now: float) -> Iterator[Sample]:
        too_old = now - self._stale_after_s
        for family in text_string_to_metric_families(text):
            for one in family.samples:
                is_new = one.timestamp is None or float(one.timestamp) >= too_old
                if one.name == self._metric and is_new:
                    yield Sample(gpu_name(one.labels, url), one.value)
