r"""Jobs that may pause or change their point: one variable per point and slot.

For one way of a job (``Way``), with configurations c and x_t the sum over its points:

.. math::
    \sum_{t} x_t = n z + \rho R  \quad\text{(one rate)}                        \tag{W1} \\
    \sum_{p,t} r_p x_{pt} - \sum_c l_c R_c \ge (w - \tau / 2) z                \tag{W2} \\
    \sum_{p,t} r_p x_{pt} - \sum_c l_c R_c
        \le (w - 2 \tau) z + \sum_{p,t} r_p e_{pt}                            \tag{W3} \\
    x_t \le F_t - E_t \quad\text{(= where it cannot pause)}                    \tag{W4} \\
    b_{ct} \ge x_{ct} - x_{c,t-1}                                             \tag{W5} \\
    b_{ct} + x_{c,t-1} \le F_t - E_{t-1}                                      \tag{W6} \\
    \sum_{t - m < k \le t} b_{ck} \le x_{ct}                                  \tag{W7} \\
    \sum_{t - m' < k \le t} b_{ck} - \sum_{t - m' < k \le t - m} f_{ck} \le x_{ct} \tag{W8} \\
    z \le \sum_{c,t} b_{ct} \le (\text{pauses} + 1) z                        \tag{W9} \\
    0 \le F_t - F_{t-1} \le \sum_c b_{ct}                                     \tag{W10} \\
    0 \le E_t - E_{t-1} \le x_{t-1}, \quad
        E_t \le F_{t-n} \quad\text{where it cannot pause}                      \tag{W11} \\
    \sum_k z_k \le 1                                                         \tag{W12}

``x`` runs, ``z`` served in this way, ``b`` begins a piece, ``F`` has started by slot t, ``E`` is
done by the start of slot t, ``f`` first piece begins, ``e`` last slot; n slots or work w to do,
within a tolerance tau; rates r; restarts R, each of which loses rho slots or work l_c; least piece
m, m' after a restart. Only x and z are binary, and with (W2) also b, f and e: with them the rest
is integral. What a job does not need is not built: F only where the first start matters, E only
where the end does, b only where pieces do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyomo.environ as pyo

from optimizer.jobs import Job
from optimizer.placements.interface import JobTerms, LinearSum
from optimizer.placements.job_costs import cost_if_left_out, fixed_costs
from optimizer.placements.slot_rows import add_way
from optimizer.placements.slot_vars import WayVars
from optimizer.placements.ways import Surroundings, Way
from optimizer.plan import Placement, Run


def add_slotwise(block: pyo.Block, job: Job, ways: Sequence[Way], around: Surroundings) -> JobTerms:
    """Add the slot variables of ``job``, way by way, and (W12) to ``block``."""
    block.way = pyo.Block(range(len(ways)))
    built = [add_way(block.way[k], job, way, around) for k, way in enumerate(ways)]
    served = LinearSum.of(way.served for way in built)
    block.one_way = pyo.Constraint(expr=served.expression() <= 1)  # (W12)

    power: dict[tuple[str, int], LinearSum] = {}
    gpus: dict[tuple[str, str, int], LinearSum] = {}
    shed: dict[tuple[str, float, int], LinearSum] = {}
    costs = cost_if_left_out(job)
    for way in built:
        way.add_power_to(power)
        way.add_gpus_to(gpus)
        way.add_shed_to(shed)
        for term, cost in fixed_costs(job, way.way).items():
            costs[term].add(cost, way.served)
        way.add_costs_to(costs)

    def started_by(slot: int) -> LinearSum:
        return _sum_of(way.started_by(slot) for way in built)

    def finished_by(slot: int) -> LinearSum:
        return _sum_of(way.finished_by(slot) for way in built)

    def set_start(placement: Placement | None) -> None:
        for way in built:
            way.set_start(placement)

    def read() -> Placement | None:
        chosen = next((way for way in built if way.served.value > 0.5), None)
        if chosen is None:
            return None
        return Placement(job.name, chosen.way.site, _runs(chosen))

    return JobTerms(
        job=job.name,
        it_power_kw=power,
        gpus=gpus,
        shed_kw=shed,
        costs=costs,
        start_slots=range(min(w.first_slot for w in ways), max(w.end_slot for w in ways)),
        started_by=started_by,
        finished_by=finished_by,
        set_start=set_start,
        read=read,
    )


def _sum_of(sums: Any) -> LinearSum:
    total = LinearSum()
    for part in sums:
        total.add_sum(part)
    return total


def _runs(way: WayVars) -> tuple[Run, ...]:
    """Join the slots it runs in at one point into runs."""
    runs: list[Run] = []
    chosen = sorted((t, p) for (p, t), x in way.runs.items() if x.value > 0.5)
    for t, p in chosen:
        name = way.way.points[p].name
        if runs and runs[-1].point == name and runs[-1].end_slot == t:
            runs[-1] = Run(name, runs[-1].start_slot, t + 1)
        else:
            runs.append(Run(name, t, t + 1))
    return tuple(runs)
