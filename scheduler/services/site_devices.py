"""Who is asked and told at a site: one call at a time to each, none waits for another.

Who takes too long is left to it, and asked nothing more until it has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from connectors.errors import ConnectorError
from connectors.protocols import Battery, Cluster, Meter
from connectors.types import MeterReading

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Devices:
    """The meter of a site and its batteries, by name."""

    meter: Meter
    batteries: Mapping[str, Battery]

    async def close(self) -> None:
        """Let go of every connection."""
        await self.meter.close()
        for battery in self.batteries.values():
            await battery.close()


class ClusterMeter:
    """Implements ``Meter`` for a site that has none: its cluster's power, as far as that tells."""

    def __init__(
        self, cluster: Cluster, pue: float, base_load_kw: float, now: Callable[[], datetime]
    ) -> None:
        self.name = cluster.name
        self._cluster = cluster
        self._pue = pue
        self._base_load_kw = base_load_kw
        self._now = now

    async def read(self) -> MeterReading:
        """Load of the site without what batteries and plants do."""
        drawn = await self._cluster.power()
        load_kw = self._pue * drawn.kw + self._base_load_kw
        return MeterReading(self._now(), load_kw, includes_batteries=False)

    async def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What came of a call: a value, or why there is none."""

    value: T | None
    problem: str = ""


class Line(Generic[T]):
    """The line to one device, ``called`` so in what went wrong."""

    def __init__(self, called: str) -> None:
        self._called = called
        self._call: asyncio.Task[T] | None = None

    async def ask(self, call: Callable[[], Coroutine[Any, Any, T]], answer_s: float) -> Answer[T]:
        """Call, and wait for the answer as long as it has; then it is told to give up."""
        if self._call is not None and not self._call.done():
            return Answer(None, f"{self._called} is still at the last call")
        self._call = task = asyncio.create_task(call())
        task.add_done_callback(_hear)
        done, _ = await asyncio.wait({task}, timeout=answer_s)
        if not done:
            task.cancel()
            return Answer(None, f"{self._called}: no answer within {answer_s:g} s")
        if task.cancelled():
            return Answer(None, f"{self._called} gave up")
        error = task.exception()
        if error is None:
            return Answer(task.result())
        said = (
            str(error) if isinstance(error, ConnectorError) else f"{self._called} failed: {error!r}"
        )
        return Answer(None, said)


def _hear(task: asyncio.Task[Any]) -> None:
    """Take note of what comes late of a call that was given up, so that nobody complains of it."""
    if not task.cancelled():
        task.exception()
