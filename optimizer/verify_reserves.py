"""Verification of reserves: what sites say they hold is there, at both ends of every slot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from optimizer.breach import Breach
from optimizer.plan import Placement, Plan, SiteFlows
from optimizer.problem import Problem
from optimizer.reserves import ReserveProduct
from optimizer.sites import Site, StorageUnit

Floats = NDArray[np.float64]


def reserve_breaches(problem: Problem, plan: Plan, tolerance: float) -> tuple[Breach, ...]:
    """Headroom that is stated and not there; the plan is known to be well formed."""
    broken: list[Breach] = []
    for site, flow in zip(problem.sites, plan.flows, strict=True):
        if flow.reserves:
            held = _Held(problem, site, flow, plan.placements, tolerance)
            broken += held.outside_blocks()
            broken += held.batteries()
            broken += held.connection()
            broken += held.load()
    return tuple(broken)


class _Held:
    """What one site holds, by source; every rule is read off the contract, not off the model."""

    def __init__(
        self,
        problem: Problem,
        site: Site,
        flow: SiteFlows,
        placements: tuple[Placement, ...],
        tolerance: float,
    ) -> None:
        self.problem, self.site, self.flow, self.placements = problem, site, flow, placements
        self.products: Mapping[str, ReserveProduct] = {
            product.name: product for product in problem.reserves
        }
        self.tolerance = tolerance

    def _over(
        self, owner: str, name: str, kept: Floats, limit: Floats, unit: str = "kW"
    ) -> Iterator[Breach]:
        allowed = self.tolerance * np.maximum(1.0, np.abs(limit))
        for slot in np.flatnonzero(kept - limit > allowed):
            yield Breach(owner, name, int(slot), float(kept[slot] - limit[slot]), unit)

    def outside_blocks(self) -> Iterator[Breach]:
        """Nothing is held but in the blocks and directions of a product."""
        n_slots = self.problem.horizon.n_slots
        for share in self.flow.reserves:
            product = self.products[share.product]
            within = np.zeros(n_slots)
            within[list(product.slots(n_slots))] = np.inf
            for direction, values in (("up", share.up_kw), ("down", share.down_kw)):
                may = direction in product.directions and (share.source or direction == "up")
                limit = within if may else np.zeros(n_slots)
                owner = f"reserve {product.name} at {self.site.name}"
                kw = np.asarray(values)
                yield from self._over(owner, f"{direction}_offered", kw, limit)
                yield from self._over(owner, f"{direction}_not_negative", -kw, 0.0 * kw)

    def batteries(self) -> Iterator[Breach]:
        """Power beside what is planned, and energy for the time it must last from either end."""
        flow = self.flow
        for unit, charge, discharge, soc in zip(
            self.site.storage, flow.charge_kw, flow.discharge_kw, flow.soc_kwh, strict=True
        ):
            net = np.asarray(charge) - np.asarray(discharge)
            owner = f"storage {self.site.name}/{unit.name}"
            up, down, up_kwh, down_kwh = self._of(unit)
            yield from self._over(owner, "reserve_up_power", up, unit.discharge_max_kw + net)
            yield from self._over(owner, "reserve_down_power", down, unit.charge_max_kw - net)
            energy = np.asarray(soc)
            before = np.concatenate(([unit.soc_initial_kwh], energy[:-1]))
            given = up_kwh / unit.discharge_efficiency
            taken = down_kwh * unit.charge_efficiency
            for stored in (before, energy):
                yield from self._over(owner, "reserve_up_energy", given, stored, "kWh")
                room = unit.capacity_kwh - stored
                yield from self._over(owner, "reserve_down_energy", taken, room, "kWh")

    def _of(self, unit: StorageUnit) -> tuple[Floats, Floats, Floats, Floats]:
        """Return what a battery holds up and down [slot] in kW, and for that energy [kWh]."""
        sums = np.zeros((4, self.problem.horizon.n_slots))
        for share in self.flow.reserves:
            if share.source == unit.name:
                hours = self.products[share.product].hours
                up, down = np.asarray(share.up_kw), np.asarray(share.down_kw)
                sums += np.array([up, down, hours * up, hours * down])
        return sums[0], sums[1], sums[2], sums[3]

    def connection(self) -> Iterator[Breach]:
        """All that is called at once still passes the connection."""
        grid, owner = self.site.grid, f"site {self.site.name}"
        net = np.asarray(self.flow.import_kw) - np.asarray(self.flow.export_kw)
        up = np.sum([share.up_kw for share in self.flow.reserves], axis=0)
        down = np.sum([share.down_kw for share in self.flow.reserves], axis=0)
        limit = np.asarray(grid.import_limit_kw)
        yield from self._over(
            owner, "reserve_import", np.where(down > 0, net + down, 0), limit, "kW"
        )
        limit = np.asarray(grid.export_limit_kw)
        yield from self._over(owner, "reserve_export", np.where(up > 0, up - net, 0), limit)

    def load(self) -> Iterator[Breach]:
        """Load that is shed in time, and not for two products at once."""
        shares = [share for share in self.flow.reserves if not share.source]
        for share in shares:
            in_time_s = self.products[share.product].activation_s
            sooner = [
                other.up_kw
                for other in shares
                if self.products[other.product].activation_s <= in_time_s
            ]
            owner = f"reserve {share.product} at {self.site.name}"
            shared = np.where(np.asarray(share.up_kw) > 0, np.sum(sooner, axis=0), 0.0)
            yield from self._over(owner, "load_shed", shared, self._shed_kw(in_time_s))

    def _shed_kw(self, in_time_s: float) -> Floats:
        jobs = {job.name: job for job in self.problem.jobs}
        shed = np.zeros(self.problem.horizon.n_slots)
        for placement in self.placements:
            for slot, name in placement.slots():
                point = jobs[placement.job].point(name)
                if point.site == self.site.name and point.shed_within_s <= in_time_s:
                    shed[slot] += point.shed_kw * self.site.pue[slot]
        for part in self.site.sheddable:
            if part.within_s <= in_time_s:
                shed += np.asarray(part.kw)
        return shed
