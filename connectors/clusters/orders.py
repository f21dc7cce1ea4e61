"""Orders that no cluster can serve, refused with the field, the value and the limit."""

from __future__ import annotations

import math
from collections.abc import Mapping

from connectors.clusters.folders import folder_name
from connectors.errors import Rejected
from connectors.types import JobOrder, JobState


def refuse_bad_order(order: JobOrder, gpus_total: Mapping[str, int]) -> None:
    """Raise ``Rejected`` for an order that can never be run on pools of these sizes."""
    if not order.command:
        raise Rejected(f"job {order.key}: command is empty")
    strings = [*order.command, *order.environment, *order.environment.values()]
    if any("\0" in string for string in strings) or any("=" in n for n in order.environment):
        raise Rejected(f"job {order.key}: command or environment has a NUL, or a name has '='")
    if order.pool not in gpus_total:
        raise Rejected(f"job {order.key}: no pool {order.pool!r}, there are {sorted(gpus_total)}")
    total = gpus_total[order.pool]
    if not 0 <= order.gpus <= total:
        raise Rejected(
            f"job {order.key}: gpus = {order.gpus}, must be within [0, {total}] of {order.pool}"
        )
    if not 0 <= order.checkpoint_grace_s < math.inf:
        raise Rejected(
            f"job {order.key}: checkpoint_grace_s = {order.checkpoint_grace_s}, must be >= 0"
        )
    refuse_bad_power_cap(order.key, order.power_cap_w)
    if order.data is not None:
        folder_name(order.data)


def refuse_bad_power_cap(key: str, power_cap_w: float | None) -> None:
    """Raise ``Rejected`` for a cap no GPU can keep."""
    if power_cap_w is not None and not 0 < power_cap_w < math.inf:
        raise Rejected(f"job {key}: power_cap_w = {power_cap_w}, must be > 0 and finite")


def may_go_on(order: JobOrder, state: JobState, starts: int) -> bool:
    """Whether a resumption is for a job that stands so and was started this often."""
    if state is JobState.FAILED:
        return order.after_starts == starts
    return state is JobState.SUSPENDED and order.after_starts in {None, starts}


def refuse_to_change_frozen(frozen: JobOrder, order: JobOrder) -> None:
    """Raise ``Rejected`` where a process in memory would have to become another one."""
    for field in ("command", "pool", "gpus", "environment"):
        before, asked = getattr(frozen, field), getattr(order, field)
        if before != asked:
            raise Rejected(
                f"job {order.key}: {field} = {asked!r}, must be {before!r}: it is frozen in memory"
            )
