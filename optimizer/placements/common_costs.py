"""What running in a slot costs, in the few rows that most options share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.placements.options import Floats, Integers, Options
from optimizer.placements.prices import Prices


@dataclass(frozen=True, slots=True)
class CommonCosts:
    """What running in a slot costs, in the few rows that most options share.

    A slot of option o costs ``scale[o]`` times row ``row[o]`` of ``at`` some prices: that of its
    rate, and ``kw`` per unit of scale of its site's power.
    """

    rate: Integers
    gpus: Floats
    site: Integers
    kw: Floats
    row: Integers
    scale: Floats

    @classmethod
    def of(cls, o: Options) -> CommonCosts:
        """Find the rows that the options share."""
        holds = o.gpus > 0
        scale = np.where(holds, o.gpus, 1.0)
        shares = np.stack([o.rate, holds, o.site, o.rest_kw / scale], axis=1)
        rows, row = np.unique(shares, axis=0, return_inverse=True)
        rate, site = rows[:, 0].astype(np.int64), rows[:, 2].astype(np.int64)
        return cls(rate, rows[:, 1], site, rows[:, 3], row.reshape(-1), scale)

    def at(self, prices: Prices) -> Floats:
        """Cost of a slot [row, slot]."""
        cost: Floats = self.gpus[:, None] * prices.gpu_eur[self.rate]
        return cost + self.kw[:, None] * prices.power_eur_per_kw[self.site]
