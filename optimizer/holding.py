"""Reserves sold already, held from given flows as far as these leave room: no solver, no more sold.

Batteries come first, in listed order, then load that can be shed; products in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from optimizer.plan import Placement, ReserveShare, SiteFlows
from optimizer.pledges import shed_by_jobs
from optimizer.problem import Problem
from optimizer.reserves import LOAD, ReserveProduct
from optimizer.sites import Sheddable, Site, StorageUnit

Floats = NDArray[np.float64]


def holding(
    problem: Problem, placements: Sequence[Placement], flows: Sequence[SiteFlows]
) -> tuple[SiteFlows, ...]:
    """Return ``flows`` with what is sold of every reserve held where there is room for it."""
    sold = [product for product in problem.reserves if any(b.sold_lots for b in product.blocks)]
    if not sold:
        return tuple(flows)
    shed = shed_by_jobs(problem, placements)
    rooms = [
        _Room(site, flow, (*site.sheddable, *shed[site.name]))
        for site, flow in zip(problem.sites, flows, strict=True)
    ]
    for product in sold:
        for direction in product.directions:
            left = _sold_kw(product, problem.horizon.n_slots)
            for room in rooms:
                if room.site.name in product.sites:
                    left = left - room.hold(product, direction, left)
    return tuple(room.filled() for room in rooms)


def _sold_kw(product: ReserveProduct, n_slots: int) -> Floats:
    kw = np.zeros(n_slots)
    for slot, number in product.slots(n_slots).items():
        kw[slot] = product.lot_kw * product.blocks[number].sold_lots
    return kw


class _Room:
    """What one site can hold beside its flows, less what it holds already; arrays are [slot]."""

    def __init__(self, site: Site, flow: SiteFlows, shed: Sequence[Sheddable]) -> None:
        self.site, self._flow, self._shed = site, flow, shed
        net = np.asarray(flow.import_kw) - np.asarray(flow.export_kw)
        self._pass_kw = {
            "up": np.asarray(site.grid.export_limit_kw) + net,
            "down": np.asarray(site.grid.import_limit_kw) - net,
        }
        self._power_kw: dict[tuple[str, str], Floats] = {}
        self._energy_kwh: dict[tuple[str, str], Floats] = {}
        for row, unit in enumerate(site.storage):
            drawn = np.asarray(flow.charge_kw[row]) - np.asarray(flow.discharge_kw[row])
            self._power_kw[unit.name, "up"] = unit.discharge_max_kw + drawn
            self._power_kw[unit.name, "down"] = unit.charge_max_kw - drawn
            after = np.asarray(flow.soc_kwh[row])
            before = np.concatenate(([unit.soc_initial_kwh], after[:-1]))
            self._energy_kwh[unit.name, "up"] = np.minimum(before, after) - unit.soc_floor_kwh
            self._energy_kwh[unit.name, "down"] = unit.capacity_kwh - np.maximum(before, after)
        self._load_held = np.zeros(len(net))
        self._held: dict[tuple[str, str, str], Floats] = {}

    def hold(self, product: ReserveProduct, direction: str, wanted_kw: Floats) -> Floats:
        """Hold as much of ``wanted_kw`` as there is room for, and return it."""
        total = np.zeros_like(wanted_kw)
        for unit in self.site.storage:
            kw = np.minimum(wanted_kw - total, self._battery_kw(unit, product, direction))
            kw = np.maximum(0.0, np.minimum(kw, self._pass_kw[direction]))
            self._power_kw[unit.name, direction] -= kw
            factor = _kwh_per_kw(unit, product, direction)
            self._energy_kwh[unit.name, direction] -= factor * kw
            total += self._take(product, unit.name, direction, kw)
        if direction == "up":
            shed = sum(
                (np.asarray(p.kw) for p in self._shed if p.within_s <= product.activation_s),
                np.zeros_like(wanted_kw),
            )
            kw = np.minimum(wanted_kw - total, shed - self._load_held)
            kw = np.maximum(0.0, np.minimum(kw, self._pass_kw["up"]))
            self._load_held += kw
            total += self._take(product, LOAD, "up", kw)
        return total

    def _battery_kw(self, unit: StorageUnit, product: ReserveProduct, direction: str) -> Floats:
        power: Floats = self._power_kw[unit.name, direction]
        factor = _kwh_per_kw(unit, product, direction)
        if factor <= 0.0:
            return power
        return np.minimum(power, self._energy_kwh[unit.name, direction] / factor)

    def _take(self, product: ReserveProduct, source: str, direction: str, kw: Floats) -> Floats:
        self._pass_kw[direction] = self._pass_kw[direction] - kw
        self._held[product.name, source, direction] = kw
        return kw

    def filled(self) -> SiteFlows:
        """Return the flows with all that is held."""
        nothing = np.zeros(len(self._flow.import_kw))
        sources = dict.fromkeys((product, source) for product, source, _ in self._held)
        shares = []
        for product, source in sources:
            up = self._held.get((product, source, "up"), nothing)
            down = self._held.get((product, source, "down"), nothing)
            if up.any() or down.any():
                shares.append(
                    ReserveShare(product, source, tuple(up.tolist()), tuple(down.tolist()))
                )
        return replace(self._flow, reserves=tuple(shares))


def _kwh_per_kw(unit: StorageUnit, product: ReserveProduct, direction: str) -> float:
    if direction == "up":
        return product.hours / unit.discharge_efficiency
    return product.hours * unit.charge_efficiency
