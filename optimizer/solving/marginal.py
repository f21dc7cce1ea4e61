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

    ``peaks_kw`` is the demand each site already pays for [site][charge, 1]; what exceeds it is
    shared over the ``peak_slots`` a job needs, because a run raises a peak once.
    """

    room: Room
    tariffs: tuple[SiteTariff, ...]
    battery_kw: Floats
    peaks_kw: list[Floats]
    peak_slots: int

    def eur(self, site: int, it_kw: float) -> Floats:
        """Cost of ``it_kw`` more IT load at the site of this index [slot]."""
        pue = np.asarray(self.room.problem.sites[site].pue)
        paid_kw = self.peaks_kw[site]
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

    def pay_peaks(self, site: int) -> None:
        """Count what the site imports now as paid for."""
        billed = self.tariffs[site].billed_kw(self.load_kw(site))
        self.peaks_kw[site] = np.maximum(self.peaks_kw[site], billed)

    def repay_peaks(self, site: int) -> None:
        """Count as paid for what the site imports now, and no more: a job was taken out."""
        self.peaks_kw[site] = self.tariffs[site].billed_kw(self.load_kw(site))


def tariffs_of(problem: Problem) -> tuple[SiteTariff, ...]:
    """Return what load costs at every site."""
    return tuple(tariff_of(problem, site) for site in problem.sites)


def marginal_cost(room: Room, tariffs: tuple[SiteTariff, ...], battery_kw: Floats) -> MarginalCost:
    """Return costs on top of what ``room`` holds and of the batteries' load [site, slot]."""
    nothing_paid = [np.zeros(0)] * len(tariffs)
    costs = MarginalCost(room, tariffs, battery_kw, nothing_paid, peak_slots=1)
    for row in range(len(tariffs)):
        costs.repay_peaks(row)
    return costs
