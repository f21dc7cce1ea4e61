r"""Grid connection: what a site buys and sells in slot t, and that it never does both at once.

.. math::
    i_t \le \bar i_t z_t                                                       \tag{G1}
    x_t \le \bar x_t (1 - z_t)                                                 \tag{G2}

``i`` is import and ``x`` export [kW]; the limits themselves are bounds, not rows. Which slots need
the binary z is decided by ``optimizer.exclusivity``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from optimizer.sites import GridConnection


@dataclass(frozen=True, slots=True)
class GridVars:
    """What others may use. Powers are indexed [slot], expressions are totals.

    ``is_importing`` is indexed by the slots that need it.
    """

    import_kw: pyo.Var
    export_kw: pyo.Var
    is_importing: pyo.Var
    bought_eur: Any
    sold_eur: Any
    network_eur: Any
    carbon_kg: Any


def add_grid_connection(
    block: pyo.Block,
    grid: GridConnection,
    slot_hours: float,
    *,
    import_most_kw: Sequence[float],
    export_most_kw: Sequence[float],
    exclusive_slots: Sequence[int],
) -> GridVars:
    """Add (G1) and (G2) in ``exclusive_slots``.

    ``import_most_kw`` and ``export_most_kw`` [slot] are at most the connection's limits, and
    smaller where no more can flow: they are the big-M of the rows. Import is bounded by the limit
    itself, so that the price of one more kW stays the price of importing it; export by
    ``export_most_kw``, because a slot in which nothing can be exported has no row.
    """
    slots = range(len(grid.import_limit_kw))
    bought = block.import_kw = pyo.Var(slots, bounds=lambda _, t: (0, grid.import_limit_kw[t]))
    sold = block.export_kw = pyo.Var(slots, bounds=lambda _, t: (0, export_most_kw[t]))
    is_importing = block.is_importing = pyo.Var(exclusive_slots, within=pyo.Binary)

    def import_only_when_importing(_: pyo.Block, t: int) -> Any:
        return bought[t] <= import_most_kw[t] * is_importing[t]

    def export_only_otherwise(_: pyo.Block, t: int) -> Any:
        return sold[t] <= export_most_kw[t] * (1 - is_importing[t])

    block.import_only_when_importing = pyo.Constraint(  # (G1)
        exclusive_slots, rule=import_only_when_importing
    )
    block.export_only_otherwise = pyo.Constraint(  # (G2)
        exclusive_slots, rule=export_only_otherwise
    )

    def total(power_kw: pyo.Var, per_mwh: Sequence[float]) -> pyo.Expression:
        return pyo.Expression(
            expr=pyo.quicksum(slot_hours / 1000.0 * per_mwh[t] * power_kw[t] for t in slots)
        )

    block.bought_eur = total(bought, grid.import_price_eur_per_mwh)
    block.sold_eur = total(sold, grid.export_price_eur_per_mwh)
    block.network_eur = total(bought, grid.network_fee_eur_per_mwh)
    block.carbon_kg = total(bought, grid.carbon_g_per_kwh)  # 1 g/kWh is 1 kg/MWh
    return GridVars(
        bought,
        sold,
        is_importing,
        block.bought_eur,
        block.sold_eur,
        block.network_eur,
        block.carbon_kg,
    )
