r"""Ceilings over the whole fleet and horizon: a carbon budget and a cost ceiling.

.. math::
    \text{carbon} \le \bar K + v^K                                             \tag{L1}
    \text{money} \le \bar M + v^M                                              \tag{L2}

Carbon in kg, money in EUR as ``ObjectiveTerms.money_eur`` counts it; the excess v is priced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from optimizer.problem import Ceilings, Penalties


@dataclass(frozen=True, slots=True)
class CeilingVars:
    """What others may use: the price of the excess over both ceilings [EUR]."""

    over_eur: Any


def add_ceilings(
    block: pyo.Block, ceilings: Ceilings, penalties: Penalties, carbon_kg: Any, money_eur: Any
) -> CeilingVars:
    """Add (L1) and (L2), each only where its ceiling is set."""
    over: Any = 0.0
    if ceilings.carbon_budget_kg is not None:
        block.carbon_over_kg = pyo.Var(within=pyo.NonNegativeReals)
        block.carbon_budget = pyo.Constraint(  # (L1)
            expr=carbon_kg <= ceilings.carbon_budget_kg + block.carbon_over_kg
        )
        over += penalties.carbon_over_eur_per_kg * block.carbon_over_kg
    if ceilings.cost_ceiling_eur is not None:
        block.cost_over_eur = pyo.Var(within=pyo.NonNegativeReals)
        block.cost_ceiling = pyo.Constraint(  # (L2)
            expr=money_eur <= ceilings.cost_ceiling_eur + block.cost_over_eur
        )
        over += penalties.cost_over_eur_per_eur * block.cost_over_eur
    return CeilingVars(over)
