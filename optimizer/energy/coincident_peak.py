r"""Coincident peaks: a charge on import at the peak of the whole grid, by its probability.

.. math::
    \sum_t i_t \sum_k c_k \pi_{kt}                                               \tag{X1}

``i`` is import [kW], ``c`` the charge k [EUR/kW] and ``pi`` the probability that its peak falls
into slot t. The expectation is linear in import: it has no row and no variable of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyomo.environ as pyo

from optimizer.sites import CoincidentPeak


def coincident_eur(peaks: Sequence[CoincidentPeak], import_kw: pyo.Var) -> Any:
    """Return the expected charge of ``peaks`` on ``import_kw`` [slot] in EUR (X1)."""
    return pyo.quicksum(
        peak.charge_eur_per_kw * probability * import_kw[t]
        for peak in peaks
        for t, probability in enumerate(peak.probability)
        if probability > 0.0
    )
