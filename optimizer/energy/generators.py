r"""Generators: on-site units that are off, or between minimum load and rating.

.. math::
    \underline g_k o_{kt} \le g_{kt}                                           \tag{N1}
    g_{kt} \le \bar g_k o_{kt}                                                 \tag{N2}
    s_{kt} \ge o_{kt} - o_{k,t-1}                                              \tag{N3}

``g`` is output [kW], ``o`` on, ``s`` start. A unit without minimum load and start cost needs none
of these: its rating is a bound. One with a start cost but no minimum load gives at least 1 W while
on, because starts are counted from its output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from optimizer.sites import Generator

LEAST_OUTPUT_KW = 1e-3


@dataclass(frozen=True, slots=True)
class GeneratorVars:
    """What others may use. Output is indexed [generator, slot], expressions are totals.

    ``is_on`` is indexed [generator, slot] for those generators that need it.
    """

    output_kw: pyo.Var
    is_on: pyo.Var
    generation_eur: Any
    carbon_kg: Any


def add_generators(
    block: pyo.Block, generators: Sequence[Generator], n_slots: int, slot_hours: float
) -> GeneratorVars:
    """Add (N1) to (N3) for the ``generators`` that have a minimum load or a start cost."""
    index = [(k, t) for k in range(len(generators)) for t in range(n_slots)]
    switched = [(k, t) for k, t in index if has_commitment(generators[k])]
    output = block.output_kw = pyo.Var(index, bounds=lambda _, k, _t: (0, generators[k].max_kw))
    is_on = block.is_on = pyo.Var(switched, within=pyo.Binary)
    start = block.start = pyo.Var(switched, bounds=(0, 1))

    def output_at_least(_: pyo.Block, k: int, t: int) -> Any:
        return output[k, t] >= _least_kw(generators[k]) * is_on[k, t]

    def output_at_most(_: pyo.Block, k: int, t: int) -> Any:
        return output[k, t] <= generators[k].max_kw * is_on[k, t]

    def counts_start(_: pyo.Block, k: int, t: int) -> Any:
        before = is_on[k, t - 1] if t > 0 else float(generators[k].is_on_initially)
        return start[k, t] >= is_on[k, t] - before

    block.output_at_least = pyo.Constraint(switched, rule=output_at_least)  # (N1)
    block.output_at_most = pyo.Constraint(switched, rule=output_at_most)  # (N2)
    block.counts_start = pyo.Constraint(switched, rule=counts_start)  # (N3)
    fuel = pyo.quicksum(
        slot_hours * generators[k].fuel_eur_per_kwh * output[k, t] for k, t in index
    )
    starts = pyo.quicksum(generators[k].start_eur * start[k, t] for k, t in switched)
    block.generation_eur = pyo.Expression(expr=fuel + starts)
    block.carbon_kg = pyo.Expression(
        expr=pyo.quicksum(
            slot_hours / 1000.0 * generators[k].emissions_g_per_kwh * output[k, t] for k, t in index
        )
    )
    return GeneratorVars(output, is_on, block.generation_eur, block.carbon_kg)


def has_commitment(generator: Generator) -> bool:
    """Whether being on is a decision of its own."""
    return generator.min_kw > 0 or generator.start_eur > 0


def _least_kw(generator: Generator) -> float:
    return min(max(generator.min_kw, LEAST_OUTPUT_KW), generator.max_kw)
