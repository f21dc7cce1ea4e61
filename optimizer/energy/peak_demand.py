r"""Peak demand: the highest import of each billing period, which the horizon may raise.

For every peak charge k of a site, with its own slots that count, peak so far and floor:

.. math::
    D_k \ge i_t \quad \text{where import counts for k}                        \tag{D1}
    D_k \ge \max(D^0_k, F_k)                                                  \tag{D2}

``i`` is import and ``D`` the demand billed [kW]. ``D^0`` is the period's peak so far and ``F`` what
is billed at least (a ratchet, or the start of a tier): both together are a bound, and only what
exceeds it costs more:

.. math::
    \sum_k c_k (D_k - \max(D^0_k, F_k))                                       \tag{D3}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from optimizer.sites import PeakDemand


@dataclass(frozen=True, slots=True)
class PeakVars:
    """What others may use: demand billed [charge] in kW, and what raising all of it costs."""

    peak_kw: pyo.Var
    peak_eur: Any


def add_peak_demand(block: pyo.Block, peaks: Sequence[PeakDemand], import_kw: pyo.Var) -> PeakVars:
    """Add (D1) for each of ``peaks`` on ``import_kw`` [slot]; (D2) is a bound."""
    charges = range(len(peaks))
    billed = block.peak_kw = pyo.Var(charges, bounds=lambda _, k: (peaks[k].paid_kw, None))
    index = [(k, t) for k in charges for t, counts in enumerate(peaks[k].counts) if counts > 0]

    def peak_at_least(_: pyo.Block, k: int, t: int) -> Any:
        return billed[k] >= import_kw[t]

    block.peak_at_least = pyo.Constraint(index, rule=peak_at_least)  # (D1)
    block.peak_eur = pyo.Expression(  # (D3)
        expr=pyo.quicksum(
            peaks[k].charge_eur_per_kw * (billed[k] - peaks[k].paid_kw) for k in charges
        )
    )
    return PeakVars(billed, block.peak_eur)
