"""What one more load costs a site on top of what it carries: the prices the greedy plans at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.problem import Problem
from optimizer.room import Room
from optimizer.tariffs import SiteTariff, tariff_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MarginalCost:
    """What one more load costs on top of the room's load and ``battery_kw`` of batteries.

    ``peak_kw`` is the import each site already pays for [site]; what exceeds it is shared over the
    ``peak_slots`` a job needs, because a run raises the peak once.
    """

    room: Room
    tariffs: tuple[SiteTariff, ...]
    battery_kw: Floats
    peak_kw: Floats
    peak_slots: int

    def eur(self, site: int, it_kw: float) -> Floats:
        """Cost of ``it_kw`` more IT load at the site of this index [slot]."""
        pue = np.asarray(self.room.problem.sites[site].pue)
        paid_kw = self.peak_kw[site]
        return self.tariffs[site].extra_eur(
            self.load_kw(site), pue * it_kw, paid_kw, self.peak_slots
        )

    def load_kw(self, site: int) -> Floats:
        """Facility load so far [slot]."""
        owner = self.room.problem.sites[site]
        it_kw = self.room.it_load_kw[site]
        load: Floats = np.asarray(owner.base_load_kw) + np.asarray(owner.pue) * it_kw
        load += self.battery_kw[site]
        return load

    def pay_peak(self, site: int) -> None:
        """Count what the site imports now as paid for."""
        imported = self.tariffs[site].counted_import_kw(self.load_kw(site))
        self.peak_kw[site] = max(self.peak_kw[site], float(imported.max()))

    def repay_peak(self, site: int) -> None:
        """Count as paid for what the site imports now, and no more: a job was taken out."""
        peak = self.room.problem.sites[site].peak
        self.peak_kw[site] = 0.0 if peak is None else peak.so_far_kw
        self.pay_peak(site)


def tariffs_of(problem: Problem) -> tuple[SiteTariff, ...]:
    """Return what load costs at every site."""
    return tuple(tariff_of(problem, site) for site in problem.sites)


def marginal_cost(room: Room, tariffs: tuple[SiteTariff, ...], battery_kw: Floats) -> MarginalCost:
    """Return costs on top of what ``room`` holds and of the batteries' load [site, slot]."""
    costs = MarginalCost(room, tariffs, battery_kw, np.zeros(len(tariffs)), peak_slots=1)
    for row in range(len(tariffs)):
        costs.repay_peak(row)
    return costs
