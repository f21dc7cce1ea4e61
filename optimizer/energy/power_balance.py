r"""Power balance of a site: what comes in equals what is drawn, in every slot t.

.. math::
    i_t - x_t + \sum r_{kt} + \sum p^d_{ut} + \sum g_{kt} + v_t
        = b_t + \text{pue}_t \ell_t + \sum p^c_{ut}                            \tag{B1}

``l`` is the IT load [kW], ``b`` the inelastic base load, ``v`` load that nothing covers: priced far
above any energy, so that a plan exists whatever the input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from optimizer.sites import Site


@dataclass(frozen=True, slots=True)
class BalanceVars:
    """What others may use, by [slot] [kW]: IT load, and load left uncovered with its total."""

    it_load_kw: pyo.Var
    shortfall_kw: pyo.Var
    shortfall_kwh: Any


def add_power_balance(
    block: pyo.Block,
    site: Site,
    slot_hours: float,
    supply_kw: Callable[[int], Any],
    drawn_kw: Callable[[int], Any],
) -> BalanceVars:
    """Add (B1). ``supply_kw`` and ``drawn_kw`` sum the other blocks' flows of a slot."""
    slots = range(len(site.base_load_kw))
    it_load = block.it_load_kw = pyo.Var(slots, within=pyo.NonNegativeReals)
    shortfall = block.shortfall_kw = pyo.Var(slots, within=pyo.NonNegativeReals)

    def power_balance(_: pyo.Block, t: int) -> Any:
        load = site.base_load_kw[t] + site.pue[t] * it_load[t]
        return supply_kw(t) + shortfall[t] == load + drawn_kw(t)

    block.power_balance = pyo.Constraint(slots, rule=power_balance)  # (B1)
    shortfall_kwh = slot_hours * pyo.quicksum(shortfall.values())
    return BalanceVars(it_load, shortfall, shortfall_kwh)
