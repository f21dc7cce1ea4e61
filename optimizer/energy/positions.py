r"""Positions: what sites draw beside what was agreed ahead, at a price both ways.

.. math::
    \sum_{s \in k} (i_{st} - x_{st}) - n_{kt} = o_{kt} - u_{kt}                 \tag{Z1}

``i`` is import, ``x`` export and ``n`` the position of k [kW]; ``o`` is drawn more and ``u`` less,
each at its own price per kWh.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyomo.environ as pyo

from optimizer.positions import Position


def add_positions(
    block: pyo.Block,
    positions: Sequence[Position],
    import_kw: Mapping[str, pyo.Var],
    export_kw: Mapping[str, pyo.Var],
    slot_hours: float,
) -> Any:
    """Add (Z1) for ``positions`` on the flows [slot] of each site; return what deviating costs."""
    agreed = {(k, t): kw for k, one in enumerate(positions) for t, kw in one.agreed.items()}
    over = block.over_kw = pyo.Var(list(agreed), within=pyo.NonNegativeReals)
    under = block.under_kw = pyo.Var(list(agreed), within=pyo.NonNegativeReals)

    def deviation(_: pyo.Block, k: int, t: int) -> Any:
        net = pyo.quicksum(import_kw[s][t] - export_kw[s][t] for s in positions[k].sites)
        return net - agreed[k, t] == over[k, t] - under[k, t]

    block.deviation = pyo.Constraint(list(agreed), rule=deviation)  # (Z1)
    return slot_hours * pyo.quicksum(
        positions[k].over_eur_per_kwh[t] * over[k, t]
        + positions[k].under_eur_per_kwh[t] * under[k, t]
        for k, t in agreed
    )
