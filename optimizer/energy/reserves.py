r"""Reserves: power and energy that batteries keep free, and load that can be shed.

.. math::
    \sum_v r^\uparrow_{kvt} + m^\uparrow_{kt} = q_k n_{kb}, \quad
        \sum_v r^\downarrow_{kvt} + m^\downarrow_{kt} = q_k n_{kb}              \tag{V1} \\
    \sum_k r^\uparrow_{kut} \le \bar p^d_u - p^d_{ut} + p^c_{ut}                \tag{V2} \\
    \sum_k r^\downarrow_{kut} \le \bar p^c_u - p^c_{ut} + p^d_{ut}              \tag{V3} \\
    \sum_k \tau_k r^\uparrow_{kut} / \eta^d_u \le e_{u,t-1} - \underline e_u + v_{u,t-1},
        \quad \dots \le e_{ut} - \underline e_u + v_{ut}                        \tag{V4} \\
    \sum_k \tau_k \eta^c_u r^\downarrow_{kut} \le \bar e_u - e_{u,t-1},
        \quad \dots \le \bar e_u - e_{ut}                                       \tag{V5} \\
    i_t - x_t + \sum_{k,u} r^\downarrow_{kut} \le \bar i_t                      \tag{V6} \\
    x_t - i_t + \sum_{k,v} r^\uparrow_{kvt} \le \bar x_t                        \tag{V7} \\
    \sum_{k' \preceq k} r^\uparrow_{k' \ell t} \le \text{load shed in time for k} \tag{V8}

For product k, its block b and source v of a site: battery u, or load (l). A lot has q kW, n whole
lots are held in all slots of a block, and of those sold already m may be missed. What is called at
an end of a slot must last tau hours from there: (V4) and (V5) hold at both. Where a battery keeps a
backup, the reserve is on top of it and short of it in the same v. Products that are activated no
later than k (k' before k) share the load that is shed in time for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from optimizer.reserves import LOAD, ReserveProduct
from optimizer.sites import Site

Key = tuple[str, str, str, int]
"""(product, site, source, slot)."""


@dataclass(frozen=True, slots=True)
class Headroom:
    """What reserves of one site are held from. Variables are those of its blocks.

    Attributes
    ----------
    floor_short_kwh
        What is missing of a backup, where a unit keeps one [unit, slot].
    shed_kw
        Facility load that is shed within so many seconds, by slot: its parameters are both.
    """

    site: Site
    import_kw: pyo.Var
    export_kw: pyo.Var
    charge_kw: pyo.Var
    discharge_kw: pyo.Var
    soc_kwh: pyo.Var
    floor_short_kwh: pyo.Var
    shed_kw: Callable[[float, int], Any]


@dataclass(frozen=True, slots=True)
class ReserveVars:
    """What others may use: shares [product, site, source, slot] in kW, lots [block, product]."""

    up_kw: pyo.Var
    down_kw: pyo.Var
    lots: pyo.Var
    earned_eur: Any
    missed_eur: Any


def add_reserves(
    block: pyo.Block,
    products: Sequence[ReserveProduct],
    sites: Mapping[str, Headroom],
    n_slots: int,
    slot_hours: float,
) -> ReserveVars:
    """Add (V1) to (V8) for ``products``, held by ``sites``."""
    held = [key for product in products for key in _keys(product, sites, n_slots)]
    directions = {product.name: product.directions for product in products}
    up = [key for key in held if "up" in directions[key[0]]]
    down = [key for key in held if "down" in directions[key[0]] and key[2] != LOAD]
    block.up_kw = pyo.Var(up, within=pyo.NonNegativeReals)
    block.down_kw = pyo.Var(down, within=pyo.NonNegativeReals)
    earned, missed = _add_lots(block, products, n_slots, slot_hours)
    for_each = _Rows(block, {product.name: product for product in products}, sites)
    for_each.add_power()
    for_each.add_energy()
    for_each.add_connection()
    for_each.add_load()
    return ReserveVars(block.up_kw, block.down_kw, block.lots, earned, missed)


def _keys(product: ReserveProduct, sites: Mapping[str, Headroom], n_slots: int) -> list[Key]:
    return [
        (product.name, name, source, t)
        for name in product.sites
        for source in (*(unit.name for unit in sites[name].site.storage), LOAD)
        for t in product.slots(n_slots)
    ]


def _add_lots(
    block: pyo.Block, products: Sequence[ReserveProduct], n_slots: int, slot_hours: float
) -> tuple[Any, Any]:
    """Add (V1); return what is earned, and what is to be paid for what is missed [EUR]."""
    by_name = {product.name: product for product in products}
    blocks = {
        (b, product.name): product.blocks[b]
        for product in products
        for b in sorted(set(product.slots(n_slots).values()))
    }
    lots = block.lots = pyo.Var(
        list(blocks),
        within=pyo.NonNegativeIntegers,
        bounds=lambda _, b, k: (blocks[b, k].sold_lots, by_name[k].most_lots_in(blocks[b, k])),
    )
    rows = {
        (product.name, direction, t): b
        for product in products
        for direction in product.directions
        for t, b in product.slots(n_slots).items()
    }
    missed = block.missed_kw = pyo.Var(
        list(rows),
        bounds=lambda _, k, d, t: (
            0.0,
            by_name[k].lot_kw * blocks[rows[k, d, t], k].sold_lots,
        ),
    )
    by_row: dict[tuple[str, str, int], list[Any]] = {key: [] for key in rows}
    for direction, shares in (("up", block.up_kw), ("down", block.down_kw)):
        for (k, _, _, t), share in shares.items():
            by_row[k, direction, t].append(share)

    def reserve_held(_: pyo.Block, k: str, direction: str, t: int) -> Any:
        held = pyo.quicksum(by_row[k, direction, t]) + missed[k, direction, t]
        return held == by_name[k].lot_kw * lots[rows[k, direction, t], k]

    block.reserve_held = pyo.Constraint(list(rows), rule=reserve_held)  # (V1)
    earned = pyo.quicksum(
        blocks[key].eur_per_kw * by_name[key[1]].lot_kw * lots[key] for key in blocks
    )
    paid = pyo.quicksum(
        slot_hours * by_name[key[0]].missed_eur_per_kwh * missed[key] for key in rows
    )
    return earned, paid


class _Rows:
    """Rows of what holds reserves, source by source; ``block`` has the shares already."""

    def __init__(
        self,
        block: pyo.Block,
        products: Mapping[str, ReserveProduct],
        sites: Mapping[str, Headroom],
    ) -> None:
        self.block, self.products, self.sites = block, products, sites
        self.up = self._by_source(block.up_kw)
        self.down = self._by_source(block.down_kw)

    @staticmethod
    def _by_source(shares: pyo.Var) -> dict[tuple[str, str, int], list[tuple[str, Any]]]:
        """Sort shares by (site, source, slot), each with its product."""
        found: dict[tuple[str, str, int], list[tuple[str, Any]]] = {}
        for (k, site, source, t), share in shares.items():
            found.setdefault((site, source, t), []).append((k, share))
        return found

    def _of_units(self, shares: Any) -> list[tuple[str, int, int]]:
        """Return (site, number of the unit, slot) of batteries that hold something."""
        return [
            (name, u, t)
            for name, room in self.sites.items()
            for u, unit in enumerate(room.site.storage)
            for site, source, t in shares
            if (site, source) == (name, unit.name)
        ]

    def _sum(self, shares: Any, name: str, u: int, t: int, *, of_energy: bool = False) -> Any:
        unit = self.sites[name].site.storage[u].name
        return pyo.quicksum(
            (self.products[k].hours if of_energy else 1.0) * share
            for k, share in shares[name, unit, t]
        )

    def add_power(self) -> None:
        """Add (V2) and (V3)."""

        def reserve_up_power(_: pyo.Block, name: str, u: int, t: int) -> Any:
            room = self.sites[name]
            free = room.site.storage[u].discharge_max_kw - room.discharge_kw[u, t]
            return self._sum(self.up, name, u, t) <= free + room.charge_kw[u, t]

        def reserve_down_power(_: pyo.Block, name: str, u: int, t: int) -> Any:
            room = self.sites[name]
            free = room.site.storage[u].charge_max_kw - room.charge_kw[u, t]
            return self._sum(self.down, name, u, t) <= free + room.discharge_kw[u, t]

        units = self._of_units(self.up), self._of_units(self.down)
        self.block.reserve_up_power = pyo.Constraint(units[0], rule=reserve_up_power)  # (V2)
        self.block.reserve_down_power = pyo.Constraint(units[1], rule=reserve_down_power)  # (V3)

    def add_energy(self) -> None:
        """Add (V4) and (V5), at the start (-1) and the end (0) of each slot."""

        def reserve_up_energy(_: pyo.Block, name: str, u: int, t: int, end: int) -> Any:
            room, unit, at = self.sites[name], self.sites[name].site.storage[u], t + end
            kept = self._sum(self.up, name, u, t, of_energy=True) / unit.discharge_efficiency
            if at < 0:
                return kept <= max(0.0, unit.soc_initial_kwh - unit.soc_floor_kwh)
            short = room.floor_short_kwh[u, at] if unit.soc_floor_kwh > 0 else 0.0
            return kept <= room.soc_kwh[u, at] - unit.soc_floor_kwh + short

        def reserve_down_energy(_: pyo.Block, name: str, u: int, t: int, end: int) -> Any:
            room, unit, at = self.sites[name], self.sites[name].site.storage[u], t + end
            taken = unit.charge_efficiency * self._sum(self.down, name, u, t, of_energy=True)
            stored = room.soc_kwh[u, at] if at >= 0 else unit.soc_initial_kwh
            return taken <= unit.capacity_kwh - stored

        up = [(*key, end) for key in self._of_units(self.up) for end in (-1, 0)]
        down = [(*key, end) for key in self._of_units(self.down) for end in (-1, 0)]
        self.block.reserve_up_energy = pyo.Constraint(up, rule=reserve_up_energy)  # (V4)
        self.block.reserve_down_energy = pyo.Constraint(down, rule=reserve_down_energy)  # (V5)

    def add_connection(self) -> None:
        """Add (V6) and (V7)."""

        def all_of(shares: Any, name: str, t: int) -> Any:
            return pyo.quicksum(
                share
                for (site, _, slot), held in shares.items()
                if (site, slot) == (name, t)
                for _, share in held
            )

        def reserve_import(_: pyo.Block, name: str, t: int) -> Any:
            room = self.sites[name]
            net = room.import_kw[t] - room.export_kw[t]
            return net + all_of(self.down, name, t) <= room.site.grid.import_limit_kw[t]

        def reserve_export(_: pyo.Block, name: str, t: int) -> Any:
            room = self.sites[name]
            net = room.export_kw[t] - room.import_kw[t]
            return net + all_of(self.up, name, t) <= room.site.grid.export_limit_kw[t]

        down = sorted({(site, t) for site, _, t in self.down})
        up = sorted({(site, t) for site, _, t in self.up})
        self.block.reserve_import = pyo.Constraint(down, rule=reserve_import)  # (V6)
        self.block.reserve_export = pyo.Constraint(up, rule=reserve_export)  # (V7)

    def add_load(self) -> None:
        """Add (V8)."""

        def reserve_load(_: pyo.Block, k: str, name: str, t: int) -> Any:
            in_time_s = self.products[k].activation_s
            shared = [
                share
                for other, share in self.up[name, LOAD, t]
                if self.products[other].activation_s <= in_time_s
            ]
            return pyo.quicksum(shared) <= self.sites[name].shed_kw(in_time_s, t)

        index = [(k, site, t) for k, site, source, t in self.block.up_kw if source == LOAD]
        self.block.reserve_load = pyo.Constraint(index, rule=reserve_load)  # (V8)
