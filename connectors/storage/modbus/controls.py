"""How a SunSpec battery is told its power: by DER AC controls (704), else basic storage (124).

Power is positive while charging here, and while generating there. What it reverts to when nobody
speaks to it any more is rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from connectors.errors import ContractBroken, Rejected
from connectors.storage.modbus.layout import Block

_W_PER_KW = 1000.0
_ENABLED, _WATTS = 1, 1
_CHARGE_AND_DISCHARGE = 0b11
_MOST_HOLD_S = 0xFFFE

Writes = tuple[tuple[tuple[str, int], ...], ...]
"""Runs of points side by side with their raw values, in the order they are to be written."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to write, and what must be read back then."""

    writes: Writes
    expected: dict[str, int]
    reverts: bool  # whether it goes to rest by itself


def has_control(block: Block) -> bool:
    """Whether a power can be set by this model."""
    if block.layout.model == 704:
        return block.has("WSet") and block.has("WSetEna")
    return bool(block.value("WChaMax")) and block.has("OutWRte") and block.has("InWRte")


def order_of(block: Block, power_kw: float, hold_s: float | None) -> Order:
    """Return how to set a power by the model of ``block``."""
    seconds = 0 if hold_s is None else min(_MOST_HOLD_S, max(1, math.ceil(hold_s)))
    return (_by_704 if block.layout.model == 704 else _by_124)(block, power_kw, seconds)


def setpoint_kw(block: Block) -> float | None:
    """Return the power it is set to; ``None`` where it is set to none."""
    if block.layout.model == 704:
        watts = block.value("WSet")
        is_set = (block.raw("WSetEna"), block.raw("WSetMod")) == (_ENABLED, _WATTS)
        return -watts / _W_PER_KW if is_set and watts is not None else None
    share = block.value("OutWRte")
    is_set = block.raw("StorCtl_Mod") == _CHARGE_AND_DISCHARGE
    if not is_set or share is None or share != -(block.value("InWRte") or 0.0):
        return None
    return -share / 100.0 * charge_max_w(block) / _W_PER_KW


def charge_max_w(block: Block) -> float:
    """Return what 100 % are in model 124 [W]."""
    watts = block.value("WChaMax")
    if not watts or watts < 0:
        raise ContractBroken(f"{block.called}: WChaMax of model 124 is {watts}, must be > 0")
    return watts


def _by_704(block: Block, power_kw: float, seconds: int) -> Order:
    raw = block.to_raw("WSet", -power_kw * _W_PER_KW)
    reverts = block.has("WSetRvrtTms") and block.has("WSetRvrt")
    power: tuple[tuple[str, int], ...] = (("WSetMod", _WATTS), ("WSet", raw))
    ends: Writes = ()
    expected = {"WSet": raw, "WSetMod": _WATTS, "WSetEna": _ENABLED}
    if reverts:
        power = (*power, ("WSetRvrt", 0))
        ends = ((("WSetEnaRvrt", _ENABLED), ("WSetRvrtTms", seconds)),)
        expected |= {"WSetRvrt": 0, "WSetRvrtTms": seconds}
    return Order((power, *ends, (("WSetEna", _ENABLED),)), expected, reverts)


def _by_124(block: Block, power_kw: float, seconds: int) -> Order:
    # Between the most it may discharge and the most it may charge there is this power only.
    share = -power_kw * _W_PER_KW / charge_max_w(block) * 100.0
    raw = block.to_raw("OutWRte", share)
    reverts = block.has("InOutWRte_RvrtTms")
    rates = (("OutWRte", raw), ("InWRte", -raw))
    mode = (("StorCtl_Mod", _CHARGE_AND_DISCHARGE),)
    ends: Writes = ((("InOutWRte_RvrtTms", seconds),),) if reverts else ()
    expected = dict((*rates, *mode, *(point for run in ends for point in run)))
    return Order((rates, *ends, mode), expected, reverts)


def require_in_force(block: Block, order: Order) -> None:
    """Raise ``ContractBroken`` unless what was written is what is read back."""
    for name, raw in order.expected.items():
        found = block.raw(name)
        if found != raw:
            raise ContractBroken(
                f"{block.called}: {name} of model {block.layout.model} was told {raw},"
                f" reads back {found}"
            )


def require_control(called: str, blocks: list[Block]) -> Block:
    """Return the model to set its power by, the best of those it has."""
    for block in blocks:
        if has_control(block):
            return block
    raise Rejected(f"{called}: takes no setpoint: needs model 704 with WSet, or 124 with rates")
