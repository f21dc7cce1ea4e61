"""Power of a cluster: measured where somebody measures all of it, else modelled, with the reason.

A reading is of one kind throughout. GPUs that nobody spoke of would count as zero in a sum of
those that were, and a sum of both kinds could be checked against nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from connectors.errors import ConnectorError
from connectors.protocols import PowerSource
from connectors.types import MeasuredPower, PowerReading

_ANSWER_S = 20.0
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class GpusThere:
    """How many GPUs a source must speak of: all but those drained and failed, which may be off."""

    at_least: int
    at_most: int


async def read_power(
    source: PowerSource | None, gpus: GpusThere, modelled_kw: float
) -> PowerReading:
    """Return what ``source`` says, or ``modelled_kw`` with the reason."""
    if source is None:
        return PowerReading(modelled_kw, is_measured=False, reason="nobody measures it")
    try:
        async with asyncio.timeout(_ANSWER_S):
            found = await source.read()
    except TimeoutError:
        reason = f"no answer within {_ANSWER_S:g} s"
    except ConnectorError as error:
        reason = str(error)
    else:
        reason = _what_is_wrong(found, gpus)
        if not reason:
            return PowerReading(found.kw, is_measured=True, source=source.name, scope=source.scope)
    return PowerReading(modelled_kw, is_measured=False, reason=f"{source.name}: {reason}")


def _what_is_wrong(found: MeasuredPower, gpus: GpusThere) -> str:
    if found.silent:
        named = "; ".join(found.silent[:_SHOWN])
        more = len(found.silent) - _SHOWN
        return f"silent: {named}" + (f" and {more} more" if more > 0 else "")
    if found.gpus == 0:
        return "no GPU is reported"
    if found.gpus < gpus.at_least:
        return f"{found.gpus} GPUs reported, must be at least the {gpus.at_least} that are there"
    if found.gpus > gpus.at_most:
        return f"{found.gpus} GPUs reported, must be at most the {gpus.at_most} of its pools"
    return ""
