r"""Commitments: obligations to import no more than a limit in some slots.

.. math::
    i_t \le \bar c_k + v_{kt}                                                  \tag{C1}

``i`` is the site's import and ``v`` the breach of obligation k [kW], priced per kWh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from optimizer.problem import CapacityLimit


@dataclass(frozen=True, slots=True)
class CommitmentVars:
    """What others may use: breach [limit, slot] [kW] and its price in all [EUR]."""

    breach_kw: pyo.Var
    breach_eur: Any


def add_capacity_limits(
    block: pyo.Block,
    limits: Sequence[CapacityLimit],
    import_kw: pyo.Var,
    n_slots: int,
    slot_hours: float,
) -> CommitmentVars:
    """Add (C1) for the ``limits`` of one site on its ``import_kw`` [slot]."""
    index = [
        (k, t)
        for k, limit in enumerate(limits)
        for t in range(limit.start_slot, min(limit.end_slot, n_slots))
    ]
    breach = block.breach_kw = pyo.Var(index, within=pyo.NonNegativeReals)

    def import_within_limit(_: pyo.Block, k: int, t: int) -> Any:
        return import_kw[t] <= limits[k].limit_kw + breach[k, t]

    block.import_within_limit = pyo.Constraint(index, rule=import_within_limit)  # (C1)
    block.breach_eur = pyo.Expression(
        expr=pyo.quicksum(
            slot_hours * limits[k].breach_eur_per_kwh * breach[k, t] for k, t in index
        )
    )
    return CommitmentVars(breach, block.breach_eur)
