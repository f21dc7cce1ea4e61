r"""Renewables: what of PV and wind is used in slot t; the rest is curtailed, free of charge.

.. math::
    0 \le r_{kt} \le \bar r_{kt}                                               \tag{R1}

(R1) are bounds of plant k, not rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyomo.environ as pyo

from optimizer.sites import Renewable


@dataclass(frozen=True, slots=True)
class RenewableVars:
    """What others may use: power used [plant, slot] [kW]."""

    used_kw: pyo.Var


def add_renewables(block: pyo.Block, plants: Sequence[Renewable], n_slots: int) -> RenewableVars:
    """Add power used, within (R1)."""
    index = [(k, t) for k in range(len(plants)) for t in range(n_slots)]
    block.used_kw = pyo.Var(index, bounds=lambda _, k, t: (0, plants[k].available_kw[t]))  # (R1)
    return RenewableVars(block.used_kw)
