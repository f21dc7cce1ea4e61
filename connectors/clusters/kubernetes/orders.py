"""Orders as text, for the annotation that a Job carries its order in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from connectors.errors import ContractBroken, Rejected
from connectors.types import JobOrder, SuspendBy


def as_text(order: JobOrder) -> str:
    """Return ``order`` as JSON; the same order is the same text."""
    return json.dumps(asdict(order), sort_keys=True)


def from_text(text: str, where: str) -> JobOrder:
    """Return the order that ``as_text`` wrote.

    Raises
    ------
    ContractBroken
        Somebody else wrote it; ``where`` says on what it was found.
    """
    try:
        fields: Mapping[str, Any] = json.loads(text)
        return JobOrder(
            **{
                **fields,
                "command": tuple(fields["command"]),
                "suspend_by": SuspendBy(fields["suspend_by"]),
            }
        )
    except (ValueError, TypeError, KeyError) as error:
        raise ContractBroken(f"{where}: expected an order as JSON, found {text[:80]!r}") from error


def refuse_freeze(order: JobOrder) -> None:
    """Raise ``Rejected`` for a job to be frozen in memory, which needs hands on its node."""
    if order.suspend_by is SuspendBy.FREEZE:
        raise Rejected(
            f"job {order.key}: suspend_by = 'freeze' is not to be had on Kubernetes,"
            " must be 'checkpoint'"
        )


def grace_s(order: JobOrder) -> int:
    """Return the whole seconds a pod gets to leave; 0 would mean to wait for nothing."""
    return max(1, math.ceil(order.checkpoint_grace_s))
