"""What every ``PowerSource`` must do.

``source`` measures three GPUs: 300 W and 310 W on node n1, 80 W on n2. ``meter`` changes what they
draw and who tells of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import pytest

from connectors.errors import ConnectorError
from connectors.protocols import PowerSource
from connectors.types import MeasuredPower, PowerScope

WITHIN_S = 10.0


class Meter(Protocol):
    """The other side of a source."""

    def set_watts(self, node: str, gpu: int, watts: float) -> None:
        """Let a GPU draw this from now on."""

    def silence(self, *nodes: str) -> None:
        """Let these nodes tell nothing any more."""


class Says:
    """A source that says what it is told to; ``None``: nothing, for good."""

    name = "meter"
    scope = PowerScope.NODES

    def __init__(self, said: MeasuredPower | ConnectorError | None) -> None:
        self.said = said

    async def read(self) -> MeasuredPower:
        """Say it."""
        if self.said is None:
            await asyncio.Event().wait()
        if not isinstance(self.said, MeasuredPower):
            raise self.said or AssertionError
        return self.said


async def read_until(
    source: PowerSource, is_so: Callable[[MeasuredPower | ConnectorError], bool]
) -> MeasuredPower | ConnectorError:
    """Read until the answer, or the refusal, is so: some ask somebody who asks others."""
    give_up_at = time.monotonic() + WITHIN_S
    while True:
        try:
            answer: MeasuredPower | ConnectorError = await source.read()
        except ConnectorError as error:
            answer = error
        if is_so(answer) or time.monotonic() > give_up_at:
            return answer
        await asyncio.sleep(0.1)


class PowerSourceContract:
    """The contract."""

    async def test_every_gpu_counts_once(self, source: PowerSource) -> None:
        """In watts of each, in kW together, and who says so."""
        found = await source.read()
        assert found.kw == pytest.approx(0.69)
        assert (found.gpus, found.silent) == (3, ())
        assert source.scope is PowerScope.GPUS
        assert source.name

    async def test_what_is_drawn_now_is_told(self, source: PowerSource, meter: Meter) -> None:
        """Not what was drawn when it was first asked."""
        await source.read()
        meter.set_watts("n2", 0, 680.0)
        found = await read_until(source, lambda one: getattr(one, "kw", 0.0) > 1.0)
        assert isinstance(found, MeasuredPower)
        assert found.kw == pytest.approx(1.29)

    async def test_a_gpu_that_draws_nothing_is_there(
        self, source: PowerSource, meter: Meter
    ) -> None:
        """Its zero is a value."""
        meter.set_watts("n2", 0, 0.0)
        found = await read_until(source, lambda one: getattr(one, "kw", 1.0) < 0.65)
        assert isinstance(found, MeasuredPower)
        assert (found.gpus, found.silent) == (3, ())

    async def test_who_is_silent_is_not_there(self, source: PowerSource, meter: Meter) -> None:
        """It is named, or at least not counted: its power is not known to be zero."""
        meter.silence("n2")
        found = await read_until(source, lambda one: getattr(one, "gpus", 3) < 3)
        assert isinstance(found, MeasuredPower)
        assert found.gpus == 2
        assert found.kw == pytest.approx(0.61)

    async def test_nobody_there_is_an_error(self, source: PowerSource, meter: Meter) -> None:
        """And no zero."""
        meter.silence("n1", "n2")
        found = await read_until(source, lambda one: isinstance(one, ConnectorError))
        assert isinstance(found, ConnectorError)
