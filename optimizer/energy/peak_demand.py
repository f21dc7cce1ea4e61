r"""Peak demand: the month's highest import, which the horizon may raise.

.. math::
    D \ge i_t \quad \text{where import counts}                                 \tag{D1}
    D \ge D_0                                                                  \tag{D2}

``D`` [kW] starts from the month's peak so far, ``D_0``, a bound; only what exceeds it costs more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from optimizer.sites import PeakDemand


@dataclass(frozen=True, slots=True)
class PeakVars:
    """What others may use: the peak after the horizon [kW] and what raising it costs."""

    peak_kw: pyo.Var
    peak_eur: Any


def add_peak_demand(block: pyo.Block, peak: PeakDemand, import_kw: pyo.Var) -> PeakVars:
    """Add (D1) for ``import_kw`` [slot]; (D2) is a bound."""
    highest = block.peak_kw = pyo.Var(bounds=(peak.so_far_kw, None))
    counted = [t for t, counts in enumerate(peak.counts) if counts > 0]

    def peak_at_least(_: pyo.Block, t: int) -> Any:
        return highest >= import_kw[t]

    block.peak_at_least = pyo.Constraint(counted, rule=peak_at_least)  # (D1)
    block.peak_eur = pyo.Expression(expr=peak.charge_eur_per_kw * (highest - peak.so_far_kw))
    return PeakVars(highest, block.peak_eur)
