r"""Storage: state of charge of every unit u of a site over every slot t.

.. math::
    e_{ut} = e_{u,t-1} + \Delta (\eta^c_u p^c_{ut} - p^d_{ut} / \eta^d_u)      \tag{S1}
    p^c_{ut} \le \bar p^c_u z_{ut}                                             \tag{S2}
    p^d_{ut} \le \bar p^d_u (1 - z_{ut})                                       \tag{S3}
    e_{ut} + v_{ut} \ge \underline e_u                                         \tag{S4}
    e_{uT} + v'_u \ge \underline e'_u                                          \tag{S5}

Power is on the grid side [kW]; energy is inside the unit, at the END of the slot [kWh]. The backup
reserve (S4) and the final energy (S5) are soft: what is missing, v and v' [kWh], is priced. Which
slots need the binary z is decided by ``optimizer.exclusivity``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from optimizer.sites import StorageUnit


@dataclass(frozen=True, slots=True)
class StorageVars:
    """What others may use. Powers and energy are indexed [unit, slot], expressions are totals.

    ``is_charging`` is indexed by the slots that need it, ``floor_short_kwh`` by units with a floor.
    """

    charge_kw: pyo.Var
    discharge_kw: pyo.Var
    soc_kwh: pyo.Var
    is_charging: pyo.Var
    wear_eur: Any
    value_eur: Any
    short_kwh: Any
    floor_short_kwh: pyo.Var


def add_storage(
    block: pyo.Block,
    units: Sequence[StorageUnit],
    n_slots: int,
    slot_hours: float,
    *,
    exclusive_slots: Sequence[int],
) -> StorageVars:
    """Add (S1) to (S5) for ``units``; (S2) and (S3) only in ``exclusive_slots``."""
    index = [(u, t) for u in range(len(units)) for t in range(n_slots)]
    charge = block.charge_kw = pyo.Var(index, bounds=lambda _, u, _t: (0, units[u].charge_max_kw))
    discharge = block.discharge_kw = pyo.Var(
        index, bounds=lambda _, u, _t: (0, units[u].discharge_max_kw)
    )
    soc = block.soc_kwh = pyo.Var(index, bounds=lambda _, u, _t: (0, units[u].capacity_kwh))

    def soc_balance(_: pyo.Block, u: int, t: int) -> Any:
        unit = units[u]
        before = soc[u, t - 1] if t > 0 else unit.soc_initial_kwh
        stored = slot_hours * unit.charge_efficiency * charge[u, t]
        drawn = slot_hours / unit.discharge_efficiency * discharge[u, t]
        return soc[u, t] == before + stored - drawn

    block.soc_balance = pyo.Constraint(index, rule=soc_balance)  # (S1)
    is_charging = _add_exclusivity(block, units, exclusive_slots)
    block.wear_eur = pyo.Expression(
        expr=pyo.quicksum(
            slot_hours * units[u].wear_eur_per_kwh * (charge[u, t] + discharge[u, t])
            for u, t in index
        )
    )
    block.value_eur = pyo.Expression(
        expr=pyo.quicksum(
            unit.terminal_value_eur_per_kwh * soc[u, n_slots - 1] for u, unit in enumerate(units)
        )
    )
    short_kwh = _add_reserves(block, units, n_slots)
    return StorageVars(
        charge,
        discharge,
        soc,
        is_charging,
        block.wear_eur,
        block.value_eur,
        short_kwh,
        block.floor_short_kwh,
    )


def _add_exclusivity(
    block: pyo.Block, units: Sequence[StorageUnit], slots: Sequence[int]
) -> pyo.Var:
    index = [(u, t) for u in range(len(units)) for t in slots]
    is_charging = block.is_charging = pyo.Var(index, within=pyo.Binary)

    def charge_only_when_charging(_: pyo.Block, u: int, t: int) -> Any:
        return block.charge_kw[u, t] <= units[u].charge_max_kw * is_charging[u, t]

    def discharge_only_otherwise(_: pyo.Block, u: int, t: int) -> Any:
        return block.discharge_kw[u, t] <= units[u].discharge_max_kw * (1 - is_charging[u, t])

    block.charge_only_when_charging = pyo.Constraint(index, rule=charge_only_when_charging)  # (S2)
    block.discharge_only_otherwise = pyo.Constraint(index, rule=discharge_only_otherwise)  # (S3)
    return is_charging


def _add_reserves(block: pyo.Block, units: Sequence[StorageUnit], n_slots: int) -> Any:
    """Add (S4) and (S5) where there is a reserve; return what is missing in all [kWh]."""
    reserved = [
        (u, t) for u, unit in enumerate(units) if unit.soc_floor_kwh > 0 for t in range(n_slots)
    ]
    final = [u for u, unit in enumerate(units) if unit.soc_final_min_kwh > 0]
    floor_short = block.floor_short_kwh = pyo.Var(reserved, within=pyo.NonNegativeReals)
    final_short = block.final_short_kwh = pyo.Var(final, within=pyo.NonNegativeReals)

    def soc_floor(_: pyo.Block, u: int, t: int) -> Any:
        return block.soc_kwh[u, t] + floor_short[u, t] >= units[u].soc_floor_kwh

    def soc_final(_: pyo.Block, u: int) -> Any:
        return block.soc_kwh[u, n_slots - 1] + final_short[u] >= units[u].soc_final_min_kwh

    block.soc_floor = pyo.Constraint(reserved, rule=soc_floor)  # (S4)
    block.soc_final = pyo.Constraint(final, rule=soc_final)  # (S5)
    return pyo.quicksum(floor_short.values()) + pyo.quicksum(final_short.values())
